"""The options of a render, which `render`, `diff` and `apply` share, and how the App that was chosen is rendered."""

import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from pipeline.allowed import location
from pipeline.app import App
from pipeline.cli.options import Chosen
from pipeline.cluster.connection import Connection
from pipeline.errors import InputError
from pipeline.fetching import Fetching, Pins, allowed_by
from pipeline.given import Given, identities, is_given, read_given
from pipeline.rendering import Supplies, render_app
from pipeline.source.credentials import Credentials
from pipeline.source.mirror import default_cache
from pipeline.source.sources import Sources
from renderers.api import DEFAULT_KUBE_VERSION, Capabilities, Decryption, HelmOptions, KustomizeOptions, Rendered
from renderers.options import RenderOptions


@dataclass(frozen=True, slots=True)
class Rendering:
    """The options as one value, as typer gives them: a command takes it by `with_rendering`."""

    renderer: Annotated[
        str,
        typer.Option(help="yaml, kustomize, helm or jinja; without it the folder's files decide.", metavar="RENDERER"),
    ] = ""
    recursive: Annotated[bool, typer.Option("--recursive/--no-recursive", help="Also folders below the given one.")] = (
        True
    )
    release_name: Annotated[
        str, typer.Option(help="Helm's release name; default: the App's name, or the folder's.")
    ] = ""
    values: Annotated[
        list[Path] | None,
        typer.Option("--values", help="Helm values file, relative to here. Repeatable; the last wins."),
    ] = None
    set_: Annotated[list[str] | None, typer.Option("--set", help="Helm value K=V. Repeatable.", metavar="K=V")] = None
    set_string: Annotated[
        list[str] | None, typer.Option("--set-string", help="Helm value K=V, V as text. Repeatable.", metavar="K=V")
    ] = None
    set_file: Annotated[
        list[str] | None,
        typer.Option("--set-file", help="Helm value K=PATH, the file's text. Repeatable.", metavar="K=PATH"),
    ] = None
    kube_version: Annotated[str, typer.Option(help="Kubernetes version that charts see; default: the cluster's.")] = ""
    api_versions: Annotated[
        list[str] | None, typer.Option("--api-versions", help="API version that charts see (apps/v1). Repeatable.")
    ] = None
    is_upgrade: Annotated[
        bool, typer.Option("--is-upgrade", help="Charts see .Release.IsUpgrade instead of .Release.IsInstall.")
    ] = False
    include_crds: Annotated[
        bool, typer.Option("--include-crds/--no-include-crds", help="The chart's crds/ folder too.")
    ] = True
    enable_helm: Annotated[bool, typer.Option("--enable-helm", help="Allow helmCharts in kustomizations.")] = False
    allow_remote: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-remote", help="Beginning of URLs of bases and charts to fetch. Repeatable.", metavar="URL"
        ),
    ] = None
    age_key_file: Annotated[
        Path | None,
        typer.Option(help="Age identities that open files encrypted by SOPS; default: where sops itself looks."),
    ] = None

    def options(self, capabilities: Capabilities) -> RenderOptions:
        """The same in the renderers' words; flags win over the capabilities of the cluster.

        Raises InputError for a file that is not there.
        """
        files = tuple(_there(path, "the values file", "--values") for path in self.values or ())
        return RenderOptions(
            renderer=self.renderer,
            recursive=self.recursive,
            is_upgrade=self.is_upgrade,
            capabilities=Capabilities(
                self.kube_version or capabilities.kube_version, tuple(self.api_versions or capabilities.api_versions)
            ),
            helm=HelmOptions(
                release_name=self.release_name, value_files=files, set=tuple(self.set_ or ()),
                set_string=tuple(self.set_string or ()), set_file=tuple(map(_set_file, self.set_file or ())),
                include_crds=self.include_crds,
            ),
            kustomize=KustomizeOptions(enable_helm=self.enable_helm),
        )  # fmt: skip


def with_rendering(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the fields of its parameter `rendering` as options of their own, as typer wants them."""
    parts = fields(Rendering)
    parameters = list(inspect.signature(command).parameters.values())
    place = next(number for number, each in enumerate(parameters) if each.annotation is Rendering)
    parameters[place : place + 1] = [
        inspect.Parameter(part.name, inspect.Parameter.KEYWORD_ONLY, default=part.default, annotation=part.type)
        for part in parts
    ]

    @wraps(command)
    def run(**given: Any) -> Any:
        return command(rendering=Rendering(**{part.name: given.pop(part.name) for part in parts}), **given)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    return run


def rendered(
    chosen: Chosen, rendering: Rendering, options: RenderOptions, connect: Callable[[], Connection]
) -> Rendered:
    """Render what was chosen. The cluster is asked only where the App names ConfigMaps or Secrets.

    Raises TrimtabError, and then nothing was rendered.
    """
    app = chosen.app
    given = _given(app, rendering, connect)
    allowed = (*allowed_by(app), *(rendering.allow_remote or ()))
    if not allowed:
        return render_app(app, chosen.checkout, options, Supplies(chosen.others, given))
    for prefix in allowed:
        location(prefix)
    with Fetching(Sources(default_cache()), allowed, lambda _: Credentials(), Pins(float("inf"))) as fetching:
        return render_app(app, chosen.checkout, options, Supplies(chosen.others, given, fetching))


def no_cluster() -> Capabilities:
    """What charts see where no cluster is asked."""
    return Capabilities(DEFAULT_KUBE_VERSION)


def _given(app: App, rendering: Rendering, connect: Callable[[], Connection]) -> Given:
    """What the cluster gives, and the person's own keys; a key file that is named stands in for the App's Secret."""
    if rendering.age_key_file is not None:
        app = msgspec.structs.replace(app, spec=msgspec.structs.replace(app.spec, decryption=None))
    given = read_given(connect(), app) if is_given(app) else Given()
    keys = _own_keys(rendering.age_key_file)
    decryption = Decryption((*given.decryption.age, *keys), given.decryption.pgp)
    return Given(given.values, given.variables, decryption)


def _own_keys(file: Path | None) -> list[str]:
    """The person's age identities, where sops itself looks for them (github.com/getsops/sops, age/keysource.go)."""
    if file is not None:
        keys = identities(_there(file, "the key file", "--age-key-file").read_text(errors="replace"))
        if not keys:
            raise InputError(f"the key file {file} holds no age identity", hint="`age-keygen -o FILE` writes one")
        return keys
    config = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111 - raises nothing
    places = [os.environ.get("SOPS_AGE_KEY_FILE", ""), str(Path(config, "sops", "age", "keys.txt"))]
    texts = [os.environ.get("SOPS_AGE_KEY", "")]
    texts += [Path(place).read_text(errors="replace") for place in places if place and Path(place).is_file()]
    return [key for text in texts for key in identities(text)]


def _set_file(text: str) -> tuple[str, Path]:
    key, equals, path = text.partition("=")
    if not key or not equals:
        raise InputError(f"--set-file is {text!r}", hint="write --set-file KEY=PATH")
    return key, _there(Path(path), "the file", "--set-file")


def _there(path: Path, what: str, flag: str) -> Path:
    if not path.is_file():
        raise InputError(f"{what} {path.absolute()} does not exist", hint=f"{flag} is relative to where you are")
    return path.absolute()
