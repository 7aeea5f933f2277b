"""`trimtab render`: what a folder comes to, as multi-document YAML. Needs no cluster, unless the App names Secrets."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli import options as opt
from pipeline.cli.output import Format, warnings
from pipeline.cli.rendering import Rendering, no_cluster, rendered, with_rendering
from renderers.manifest.dump import dump_all


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("render")(with_rendering(render))


def render(
    path: opt.PathArgument = None,
    file: opt.FileOption = None,
    namespace: opt.TargetNamespace = "",
    *,
    rendering: Rendering,
    include_tests: Annotated[bool, typer.Option("--include-tests", help="Helm tests too.")] = False,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml or json.")] = Format.YAML,
) -> None:
    """Print what a folder renders to, as YAML. Nothing is sent anywhere; warnings go to standard error."""
    name = default_name(path, file)
    with opt.choose(path, file, name, namespace) as chosen:
        done = rendered(
            chosen, rendering, rendering.options(no_cluster()), lambda: opt.connect(kubeconfig, context).connection
        )
    warnings(done.warnings)
    manifests = done.manifests + done.hooks + (done.tests if include_tests else ())
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
