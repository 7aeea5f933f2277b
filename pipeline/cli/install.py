"""`trimtab install`: prints or applies what runs Trimtab in a cluster, as `deploy/` and the chart do."""

import sys
from typing import Annotated

import typer

from pipeline.cli import options as opt
from pipeline.cli.output import error_text, out, warn
from pipeline.install.apply import InstallError, apply_objects
from pipeline.install.objects import install_objects
from pipeline.install.options import InstallOptions, check_options
from pipeline.install.schema import crd
from renderers.manifest import dump_all

_DEFAULT = InstallOptions()


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("install")(install)


def install(
    git_url: Annotated[
        str, typer.Option(help="The repository to follow; without it only App resources are served.")
    ] = "",
    git_branch: Annotated[str, typer.Option(help="The branch; default: the repository's own.")] = "",
    git_path: Annotated[str, typer.Option(help="The folder in the repository.")] = "",
    git_poll_interval: Annotated[
        str, typer.Option(help="How often the repository is asked, and the cluster is compared with it.")
    ] = "",
    name: Annotated[str, typer.Option(help="The name of the App that follows --git-url; else: default.")] = "",
    namespace: Annotated[str, typer.Option("--namespace", "-n", help="Where Trimtab runs.")] = _DEFAULT.namespace,
    instance: Annotated[str, typer.Option(help="What the installation's objects are called.")] = _DEFAULT.instance,
    image: Annotated[str, typer.Option(help="The image, as your nodes can pull it.")] = _DEFAULT.image,
    replicas: Annotated[int, typer.Option(min=0, help="How many Pods; one acts, the others stand by.")] = 1,
    watch_namespace: Annotated[
        list[str] | None, typer.Option(help="Serve the Apps of this namespace too. Repeatable.")
    ] = None,
    watch_all_namespaces: Annotated[
        bool, typer.Option("--watch-all-namespaces", help="Serve the Apps of all namespaces.")
    ] = False,
    cluster_admin: Annotated[
        bool, typer.Option("--cluster-admin/--no-cluster-admin", help="Let Apps hold any object of the cluster.")
    ] = True,
    arg: Annotated[
        list[str] | None, typer.Option(help="One more argument of `trimtab run`. Repeatable.", metavar="ARG")
    ] = None,
    crd_only: Annotated[bool, typer.Option("--crd-only", help="Only the definition of the App.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Apply to the cluster instead of printing.")] = False,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
) -> int:
    """Print what runs Trimtab in a cluster, for `kubectl apply -f -`; with --apply, apply it. Also for an upgrade."""
    options = InstallOptions(
        namespace=namespace, instance=instance, image=image, replicas=replicas, git_url=git_url, git_branch=git_branch,
        git_path=git_path, git_poll_interval=git_poll_interval, name=name,
        watch_namespaces=tuple(watch_namespace or ()), watch_all=watch_all_namespaces, cluster_admin=cluster_admin,
        extra_args=tuple(arg or ()),
    )  # fmt: skip
    check_options(options)
    manifests = [crd()] if crd_only else install_objects(options)
    if not apply:
        sys.stdout.write(dump_all(manifests))
        return 0
    failed = 0
    for applied in apply_objects(opt.connect(kubeconfig, context), manifests):
        if isinstance(applied, InstallError):
            failed += 1
            warn(error_text(applied))
        else:
            out().print(f"{applied.outcome:<11}{applied.id}", markup=False)
    if failed:
        return 4 if failed < len(manifests) else 1
    if git_url and not crd_only:
        warn("next: `trimtab identity` prints the key to add to the repository as a deploy key")
    return 0
