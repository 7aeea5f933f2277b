"""`trimtab doctor`: whether everything that a sync needs is there, and what to do about what is not."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from pipeline.app import DEFAULT_NAMESPACE
from pipeline.cli import options as opt
from pipeline.cli.controller import Leadership
from pipeline.cli.output import Format, emit, out
from pipeline.cli.packages import check_packages
from pipeline.cluster.session import Session
from pipeline.control.resource import APPS, crd_missing
from pipeline.errors import TrimtabError
from pipeline.source.mirror import git_version
from renderers.sandbox import MEMORY, memory_left
from renderers.tool import tool_version, walls_here

#: What a GitOps account usually has, as (verb, group, resource).
_RIGHTS = (("patch", "*", "*"), ("list", "*", "*"), ("delete", "*", "*"), ("create", "", "configmaps"))

#: Bytes in memory-backed temp that hold the inputs of most units; a container has as many as a rule.
_ROOM = 32 << 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `needed`: a sync cannot do without it."""

    what: str
    ok: bool
    detail: str
    needed: bool = True


def register(program: typer.Typer) -> None:
    """Add the command."""
    program.command("doctor")(doctor)


def doctor(
    inventory_namespace: opt.InventoryNamespace = DEFAULT_NAMESPACE,
    kubeconfig: opt.Kubeconfig = None,
    context: opt.Context = "",
    output: Annotated[Format, typer.Option("--output", "-o", help="table, json or yaml.")] = Format.TABLE,
) -> int:
    """Look at tools, cluster, controller and permissions. Exits 1 when something needed is missing."""
    findings = list(_findings(lambda: opt.connect(kubeconfig, context), inventory_namespace))
    if output is Format.TABLE:
        for finding in findings:
            mark = "ok  " if finding.ok else ("FAIL" if finding.needed else "note")
            out().print(f"{mark} {finding.what + ':':<13}{finding.detail}", markup=False)
    else:
        emit([{"what": f.what, "ok": f.ok, "needed": f.needed, "detail": f.detail} for f in findings], output)
    return 0 if all(finding.ok for finding in findings if finding.needed) else 1


def _findings(connect: Callable[[], Session], namespace: str) -> Iterator[Finding]:
    yield _try("packages", _own_packages)
    yield _try("git", git_version)
    yield _try("helm", lambda: tool_version("helm"))
    yield _try("kustomize", lambda: tool_version("kustomize"))
    # Only who has encrypted files needs it.
    yield _try("sops", lambda: tool_version("sops"), needed=False)
    yield from _walls()
    try:
        session = connect()
        yield Finding("cluster", ok=True, detail=f"{session.connection.server} {session.version}")
    except TrimtabError as error:
        yield Finding("cluster", ok=False, detail=str(error))
        return
    yield _try("apps", lambda: _apps(session), needed=False)
    yield _try("controller", lambda: _controller(session, namespace), needed=False)
    for verb, group, resource in _RIGHTS:
        look = partial(_may, session, verb, group, resource, namespace)
        # An account with less may still serve the Apps that need no more.
        yield _try("permission", look, needed=False)


def _try(what: str, look: Callable[[], str], *, needed: bool = True) -> Finding:
    try:
        return Finding(what, ok=True, detail=look(), needed=needed)
    except TrimtabError as error:
        return Finding(what, ok=False, detail=str(error), needed=needed)


def _walls() -> Iterator[Finding]:
    """What stands around a renderer's tool here, besides its limits and its empty environment."""
    walls = walls_here()
    if walls.own_user and walls.own_processes:
        said = "tools run without network and privileges, and none of their processes stays behind"
    elif walls.namespaces:
        said = "tools run without network, and keep this user's privileges: there are no user namespaces"
    else:
        tcp = "" if walls.without_tcp else ", nor is TCP"
        said = (
            "the kernel or the container's seccomp profile refuses them, as is usual in a Pod: "
            f"UDP is not cut off{tcp}: a NetworkPolicy can"
        )
    yield Finding("namespaces", ok=bool(walls.namespaces), detail=said, needed=False)
    if walls.landlock:
        said = f"ABI {walls.landlock}: tools reach only their inputs{', and no TCP' if walls.without_tcp else ''}"
    else:
        said = "there is none, so a tool could read what this user may read: Linux has it from 5.13 on"
    yield Finding("landlock", ok=bool(walls.landlock), detail=said, needed=False)
    left = memory_left()
    is_room = left >= _ROOM
    said = f"{left >> 20} MiB in {MEMORY}{'' if is_room else ' is little: larger inputs are laid out on disk'}"
    yield Finding("temp", ok=is_room, detail=said, needed=False)


def _apps(session: Session) -> str:
    if session.discovery.find(APPS.kind, APPS.group, APPS.version) is None:
        raise crd_missing()
    return f"the cluster serves {APPS.plural}.{APPS.group} {APPS.version}"


def _controller(session: Session, namespace: str) -> str:
    leadership = Leadership(session.connection, namespace, namespace)
    said = leadership.look()
    if leadership.absent:
        raise TrimtabError(said, hint="without one, trimtab apply does what a controller does by itself")
    return said


def _own_packages() -> str:
    check_packages()
    return "pipeline and renderers are trimtab's own"


def _may(session: Session, verb: str, group: str, resource: str, namespace: str) -> str:
    """Ask the API server about ourselves (SelfSubjectAccessReview)."""
    where = namespace if resource == "configmaps" else ""
    text = f"{verb} {'anything' if resource == '*' else resource}" + (f" in {where}" if where else " anywhere")
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": where}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = session.connection.call(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body=json.dumps(review).encode(), content_type="application/json",
    )  # fmt: skip
    if answer["status"].get("allowed"):
        return f"may {text}"
    raise TrimtabError(f"may not {text}", hint="bind a role that allows it, or keep Apps to what the account may do")
