"""`trimtab version`: the versions of Trimtab and of the tools that it runs."""

from typing import Annotated

import typer

from pipeline import __version__
from pipeline.cli.output import Format, emit, out
from pipeline.errors import TrimtabError
from renderers.tool import tool_version


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("version")(version)


def version(
    output: Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")] = Format.TABLE,
) -> None:
    """Print the versions of trimtab, helm and kustomize."""
    versions = {"trimtab": __version__, "helm": _tool("helm"), "kustomize": _tool("kustomize")}
    if output is not Format.TABLE:
        emit(versions, output)
        return
    for name, text in versions.items():
        out().print(f"{name + ':':<11}{text}", markup=False)


def _tool(name: str) -> str:
    try:
        return tool_version(name)
    except TrimtabError:
        return "not installed"
