"""`trimtab render`: what a folder comes to, as multi-document YAML. Needs no cluster."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import options as opt
from pipeline.cli.output import Format, warnings
from pipeline.rendering import render_app
from renderers.manifest.dump import dump_all


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("render")(render)


def render(
    path: opt.PathArgument = None,
    file: opt.FileOption = None,
    renderer: opt.Renderer = "",
    recursive: opt.Recursive = True,
    release_name: opt.ReleaseName = "",
    namespace: opt.TargetNamespace = "",
    values: opt.Values = None,
    set_: opt.SetValues = None,
    set_string: opt.SetStrings = None,
    kube_version: opt.KubeVersion = "",
    api_versions: opt.ApiVersions = None,
    include_crds: opt.IncludeCrds = True,
    enable_helm: opt.EnableHelm = False,
    include_tests: Annotated[bool, typer.Option("--include-tests", help="Helm tests too.")] = False,
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml or json.")] = Format.YAML,
) -> None:
    """Print what a folder renders to, as YAML. Nothing is sent anywhere; warnings go to standard error."""
    rendering = opt.Rendering(
        renderer, recursive, release_name, tuple(values or ()), tuple(set_ or ()), tuple(set_string or ()),
        kube_version, tuple(api_versions or ()), include_crds, enable_helm,
    )  # fmt: skip
    name = default_name(path, file)
    with opt.choose(path, file, name, namespace) as chosen:
        rendered = render_app(chosen.app, chosen.checkout, rendering.options(opt.no_cluster()))
    warnings(rendered.warnings)
    manifests = rendered.manifests + rendered.hooks + (rendered.tests if include_tests else ())
    documents = [manifest.data for manifest in manifests]
    if output is Format.JSON:
        sys.stdout.write(json.dumps(documents, indent=2, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(dump_all(documents))


def default_name(path: Path | None, file: Path | None) -> str:
    """Without an App the folder's name is the release's name, as far as it can be an App's name."""
    if file is not None or path is None:
        return ""
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in path.resolve().name.lower()).strip("-")
    return letters[:53].rstrip("-") or "app"
