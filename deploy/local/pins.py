"""The programs that the local control plane and the tests use, and which versions fit.

The versions are the ones in tools/*/go.mod; nothing else in the repository names one.
Finding and building: tools.py.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).resolve().parent / "tools"

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Tool:
    """One program: `module` names a folder of tools/ and `path` the Go module there whose version is the pin.

    A program found elsewhere does as well when the first `exact` numbers of its version are those of the pin.
    """

    name: str
    module: str
    path: str
    package: str
    ask: tuple[str, ...]
    exact: int

    @property
    def version(self) -> str:
        """The pinned version, as `v1.36.3`."""
        return pinned(self.module, self.path)

    @property
    def folder(self) -> Path:
        """The folder of the go.mod that builds it."""
        return MODULES / self.module

    @property
    def stamp(self) -> str:
        """The linker's flags: no symbols, and the version, which a build from modules does not know."""
        return " ".join(["-s -w", *(f"-X {name}={value}" for name, value in _stamps(self).items())])

    def fits(self, program: Path) -> bool:
        """Whether the program at this path is of a version that can stand in for the pinned one."""
        found = _ask(program, self.ask)
        wanted = parse_version(self.version)
        return found is not None and wanted is not None and found[: self.exact] == wanted[: self.exact]


def _kubernetes(name: str, ask: tuple[str, ...] = ("--version",)) -> Tool:
    return Tool(name, "kubernetes", "k8s.io/kubernetes", f"k8s.io/kubernetes/cmd/{name}", ask, exact=2)


def _module(name: str, path: str, package: str, ask: tuple[str, ...], *, exact: int) -> Tool:
    return Tool(name, name, path, path + package, ask, exact)


#: In the order in which they are built: what a newcomer can use alone comes first.
TOOLS = {
    tool.name: tool
    for tool in (
        _module("kustomize", "sigs.k8s.io/kustomize/kustomize/v5", "", ("version",), exact=1),
        _module("helm", "helm.sh/helm/v3", "/cmd/helm", ("version", "--short"), exact=1),
        _module("helm4", "helm.sh/helm/v4", "/cmd/helm", ("version", "--short"), exact=1),
        # Without the flag it asks for the latest version; it knows its own without a stamp.
        _module("sops", "github.com/getsops/sops/v3", "/cmd/sops", ("--version", "--disable-version-check"), exact=1),
        _module("etcd", "go.etcd.io/etcd/server/v3", "", ("--version",), exact=2),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kubectl", ("version", "--client")),
        _module("kwok", "sigs.k8s.io/kwok", "/cmd/kwok", ("--version",), exact=2),
    )
}


def pinned(module: str, path: str) -> str:
    """The version that tools/<module>/go.mod requires of the Go module `path`."""
    text = (MODULES / module / "go.mod").read_text()
    match = re.search(rf"^(?:require)?\s+{re.escape(path)} (v[0-9.]+)", text, re.MULTILINE)
    if match is None:
        raise LookupError(f"{MODULES / module / 'go.mod'} requires no {path}")
    return match[1]


def parse_version(text: str) -> Version | None:
    """The first `1.2.3` in a text, with or without a `v`; None when there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _ask(program: Path, arguments: tuple[str, ...]) -> Version | None:
    """What a program says its version is; None when it does not run or says none."""
    # kubectl would read the person's kubeconfig, and stop at a broken one.
    environment = {**os.environ, "KUBECONFIG": os.devnull}
    try:
        answer = subprocess.run(
            [program, *arguments], capture_output=True, text=True, env=environment, timeout=30, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stdout + answer.stderr)


def _stamps(tool: Tool) -> dict[str, str]:
    kubernetes = pinned("kubernetes", "k8s.io/kubernetes")
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    match tool.module:
        case "kubernetes":
            base = "k8s.io/component-base/version"
            return {
                f"{base}.gitVersion": kubernetes,
                f"{base}.gitMajor": major,
                f"{base}.gitMinor": minor,
                f"{base}.gitTreeState": "clean",
                "k8s.io/client-go/pkg/version.gitVersion": kubernetes,
            }
        case "helm":
            helm = "helm.sh/helm/v3"
            # Without these a chart sees Kubernetes v1.20 when no --kube-version is given.
            return {
                f"{helm}/internal/version.version": tool.version,
                f"{helm}/pkg/chartutil.k8sVersionMajor": major,
                f"{helm}/pkg/chartutil.k8sVersionMinor": minor,
                f"{helm}/pkg/lint/rules.k8sVersionMajor": major,
                f"{helm}/pkg/lint/rules.k8sVersionMinor": minor,
            }
        case "helm4":
            return {"helm.sh/helm/v4/internal/version.version": tool.version}
        case "kustomize":
            return {"sigs.k8s.io/kustomize/api/provenance.version": tool.version}
        case "kwok":
            return {"sigs.k8s.io/kwok/pkg/consts.Version": tool.version}
    return {}
