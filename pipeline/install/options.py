"""What can be chosen about an installation, and the names and labels that follow from it."""

import re
from dataclasses import dataclass
from typing import Any

from pipeline import __version__
from pipeline.app import DEFAULT_NAMESPACE, parse_duration
from pipeline.errors import InputError
from pipeline.location import check_ref, normal_path, transport_of

#: The controller's program, as the label app.kubernetes.io/name has it: by it the controller knows its own objects.
PROGRAM = "trimtab"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
#: Names of Services begin with a letter (RFC 1035), and ends are added to this one.
_INSTANCE = re.compile(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """An installation. An empty value is left to `trimtab run`, whose flags these are, but for the first four.

    `instance` names the account, the roles, the Deployment and the Service; `name` is the name of the App that
    `git_url` makes. Without `git_url` there is none, and only App resources are served: those of `namespace`, of
    `watch_namespaces` too, or of all namespaces with `watch_all`. Without `cluster_admin` the account may do nothing
    in the namespaces that Apps write to, until somebody binds a role there.
    """

    namespace: str = DEFAULT_NAMESPACE
    instance: str = PROGRAM
    image: str = f"{PROGRAM}:{__version__}"
    replicas: int = 1
    git_url: str = ""
    git_branch: str = ""
    git_path: str = ""
    git_poll_interval: str = ""
    name: str = ""
    watch_namespaces: tuple[str, ...] = ()
    watch_all: bool = False
    cluster_admin: bool = True
    extra_args: tuple[str, ...] = ()

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which Deployment and Service know their Pods; they can never be changed."""
        return {"app.kubernetes.io/name": PROGRAM, "app.kubernetes.io/instance": self.instance}

    @property
    def labels(self) -> dict[str, str]:
        """The labels of every object of the installation."""
        return {**self.selector, "app.kubernetes.io/part-of": PROGRAM}

    def metadata(self, name: str, namespace: str = "") -> dict[str, Any]:
        """An object's metadata; without a namespace it is an object of the whole cluster."""
        return {"name": name, **({"namespace": namespace} if namespace else {}), "labels": self.labels}


def check_options(options: InstallOptions) -> None:
    """Raise InputError, with the flag's name, for what the cluster or the controller would refuse later."""
    if not _INSTANCE.fullmatch(options.instance):
        raise InputError(
            f"--instance is {options.instance!r}, which is no name",
            hint="lower-case letters, digits and dashes, a letter first, at most 40",
        )
    names = [("--namespace", options.namespace)]
    names += [("--name", options.name)] if options.name else []
    names += [("--watch-namespace", namespace) for namespace in options.watch_namespaces]
    for flag, value in names:
        if not _LABEL.fullmatch(value):
            raise InputError(
                f"{flag} is {value!r}, which is no name",
                hint="lower-case letters, digits and dashes, at most 63 (a DNS label)",
            )
    if not options.image or any(c.isspace() for c in options.image):
        raise InputError(f"--image is {options.image!r}, which is no image", hint="write it as a Pod does: name:tag")
    _check_git(options)


def _check_git(options: InstallOptions) -> None:
    given = {
        "--git-branch": options.git_branch,
        "--git-path": options.git_path,
        "--git-poll-interval": options.git_poll_interval,
        "--name": options.name,
    }
    if not options.git_url:
        for flag, value in given.items():
            if value:
                raise InputError(f"{flag} is given, and no --git-url", hint="give the repository by --git-url")
        return
    transport_of(options.git_url)
    normal_path(options.git_path)
    if options.git_branch:
        check_ref("branch", options.git_branch)
    if options.git_poll_interval:
        parse_duration(options.git_poll_interval, what="--git-poll-interval")
