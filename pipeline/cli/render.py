"""`trimtab render`: what a folder comes to, as multi-document YAML. Needs no cluster, unless the App names Secrets."""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli import options as opt
from pipeline.cli.explained import explained_data, explained_lines
from pipeline.cli.output import Format, warn, warnings
from pipeline.cli.rendering import Rendering, no_cluster, rendered, with_rendering
from pipeline.errors import InputError
from renderers.api import Rendered
from renderers.explain import Explained, explain
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
    notes: Annotated[bool, typer.Option("--notes", help="Print the charts' notes instead of manifests.")] = False,
    explain_: Annotated[
        bool,
        typer.Option("--explain", help="Print instead what each unit is made of and makes use of, and its images."),
    ] = False,
    validate_: Annotated[
        bool,
        typer.Option(
            "--validate",
            help="Hold the manifests against the schemas of the Kubernetes version and the CRDs among them; with a "
            "problem nothing is printed, and the exit code is 1.",
        ),
    ] = False,
    schemas: Annotated[
        Path | None,
        typer.Option(help="swagger.json of a Kubernetes release; default: where Go keeps k8s.io/kubernetes."),
    ] = None,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="yaml or json.")] = Format.YAML,
) -> int:
    """Print what a folder renders to, as YAML. Nothing is sent anywhere; warnings go to standard error."""
    if notes and explain_:
        raise InputError("--notes and --explain are given", hint="choose one of them")
    options = replace(rendering.options(no_cluster()), notes=notes, explain=explain_)
    with opt.choose(path, file, default_name(path, file), namespace) as chosen:
        done = rendered(chosen, rendering, options, lambda: opt.connect(kubeconfig, context).connection)
    warnings(done.warnings)
    version = options.capabilities.kube_version
    if validate_ and not _valid(done, schemas, version):
        return 1
    if notes:
        _print_notes(done, output)
    elif explain_:
        _print_explained(explain(done, version), output)
    else:
        manifests = done.manifests + done.hooks + (done.tests if include_tests else ())
        documents = [manifest.data for manifest in manifests]
        sys.stdout.write(_json(documents) if output is Format.JSON else dump_all(documents))
    return 0


def _valid(done: Rendered, schemas: Path | None, version: str) -> bool:
    """Say what is wrong, and tell whether nothing is."""
    # Imported late: no other command owes what these load.
    from renderers.validate.check import validate  # noqa: PLC0415
    from renderers.validate.schemas import load_schemas  # noqa: PLC0415

    checked = validate((*done.manifests, *done.hooks, *done.tests), load_schemas(schemas, version), version)
    warnings(f"{item.origin}: {item.id} is not validated: no schema is known of it" for item in checked.unknown)
    for problem in checked.problems:
        warn(f"error: {problem}")
    return not checked.problems


def _print_notes(done: Rendered, output: Format) -> None:
    if output is Format.JSON:
        sys.stdout.write(_json([{"folder": unit, "notes": text} for unit, text in done.notes]))
        return
    for number, (unit, text) in enumerate(done.notes):
        title = f"{unit}:\n" if len(done.notes) > 1 else ""
        sys.stdout.write(("\n" if number else "") + title + text.rstrip("\n") + "\n")


def _print_explained(units: Sequence[Explained], output: Format) -> None:
    if output is Format.JSON:
        sys.stdout.write(_json([explained_data(unit) for unit in units]))
        return
    sys.stdout.write("\n\n".join("\n".join(explained_lines(unit)) for unit in units) + "\n" * bool(units))


def _json(data: Any) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def default_name(path: Path | None, file: Path | None) -> str:
    """Without an App the folder's name is the release's name, as far as it can be an App's name."""
    if file is not None or path is None:
        return ""
    letters = "".join(c if c.isascii() and c.isalnum() else "-" for c in path.resolve().name.lower()).strip("-")
    return letters[:53].rstrip("-") or "app"
