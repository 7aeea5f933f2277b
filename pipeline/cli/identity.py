"""`trimtab identity`: the public half of the deploy key, as GitHub's and GitLab's pages take it."""

from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.output import Format, asks, confirmed, emit, out, warn
from pipeline.cluster.connection import Connection
from pipeline.control.identity import DEPLOY_KEY_SECRET, public_identity, replace_identity
from pipeline.control.resource import list_apps
from pipeline.errors import InputError, TrimtabError
from pipeline.location import deploy_keys_page
from pipeline.source.sshkey import KINDS, fingerprint

_WHERE = """Add it to the repository as a deploy key; read access is enough:
  GitHub: Settings → Deploy keys → Add deploy key
  GitLab: Settings → Repository → Deploy keys"""


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("identity")(identity)


def identity(
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where the controller runs.")] = DEFAULT_NAMESPACE,
    k8s_secret_name: Annotated[str, typer.Option(help="The Secret that keeps the key.")] = DEPLOY_KEY_SECRET,
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Make a new key; the old one stops working.")
    ] = False,
    ssh_key_type: Annotated[
        str, typer.Option(help=f"The kind of a new key: {', '.join(KINDS)}.", metavar="KIND")
    ] = "ed25519",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: opt.Output = Format.TABLE,
) -> int:
    """Print the public half of the deploy key. Only the key goes to standard output.

    As data: publicKey, fingerprint, secret (namespace/name). The keys are a promise.
    """
    connection = opt.connect(kubeconfig, context).connection
    secret = f"{namespace}/{k8s_secret_name}"
    if regenerate:
        question = f"Replace the key in Secret {secret}? Every repository that knows the old one must get the new one."
        if not yes and asks(output) and not confirmed(question):
            warn("the key stays")
            return 1
        replace_identity(connection, namespace, k8s_secret_name, ssh_key_type)
        warn(f"Secret {secret} has a new key; the old one stops working now.")
    line = public_identity(connection, namespace, k8s_secret_name)
    if line is None:
        raise InputError(
            f"there is no Secret {secret}: the controller makes the key at its first start",
            hint=f"kubectl get pods -n {namespace} shows whether it runs; -n and --k8s-secret-name look elsewhere",
        )
    if output is not Format.TABLE:
        emit({"publicKey": line, "fingerprint": fingerprint(line), "secret": secret}, output)
        return 0
    out().print(line, markup=False)
    pages = "".join(f"\n  {page}" for page in _pages(connection, namespace))
    warn(f"fingerprint: {fingerprint(line)}\n{_WHERE}{pages}")
    return 0


def _pages(connection: Connection, namespace: str) -> list[str]:
    """Where exactly, for the repositories of the Apps that use this key, as far as that is known."""
    try:
        apps = list_apps(connection, namespace)
    except TrimtabError:
        return []
    sources = [(app.get("spec") or {}).get("source") or {} for app in apps]
    urls = [(source.get("git") or {}).get("url", "") for source in sources if not source.get("secretRef")]
    return sorted({page for url in urls if (page := deploy_keys_page(url))})
