"""The marks that other deployers leave on what they own.

Pure. Names of their labels and annotations are their own.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_TRIMTAB_LABEL = "trimtab.dev/app"
#: The field manager of an App (`pipeline.inventory.names`), and no other one of ours, such as `trimtab-flags`.
_APP_MANAGER = re.compile(r"trimtab-.+-[0-9a-f]{8}")
#: The field managers of each deployer. Helm's is the name of its program: `helm`, `helm3`, Terraform's provider.
_MANAGERS: Mapping[str, re.Pattern[str]] = {
    "helm": re.compile(r"[Hh]elm[0-9]*|terraform-provider-helm.*"),
    "argocd": re.compile(r"argocd-(application-)?controller"),
    "flux": re.compile(r"(kustomize|helm)-controller"),
    "kapp": re.compile(r"kapp(-.*)?"),
    "kluctl": re.compile(r"kluctl.*"),
}


@dataclass(frozen=True, slots=True)
class Deployer:
    """Who deploys an object. `name` is the word for `adopt.from`, `detail` completes 'it belongs to …'.

    `app` is the label of the Trimtab App, where it is one.
    """

    name: str
    detail: str
    app: str = ""


@dataclass(frozen=True, slots=True)
class _Marks:
    """What the rules look at; `appliers` are managers with an Apply entry."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    managers: frozenset[str]
    appliers: frozenset[str]


def known_deployer(metadata: Mapping[str, Any], manager: str) -> Deployer | None:
    """Which known deployer, other than `manager` itself, marks this object; None where none does."""
    entries = [entry for entry in metadata.get("managedFields") or () if entry.get("manager") != manager]
    marks = _Marks(
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        managers=frozenset(str(entry.get("manager", "")) for entry in entries),
        appliers=frozenset(str(entry.get("manager", "")) for entry in entries if entry.get("operation") == "Apply"),
    )
    return next((found for rule in _RULES if (found := rule(marks)) is not None), None)


def deployer_managers(metadata: Mapping[str, Any], deployers: Iterable[str]) -> frozenset[str]:
    """The field managers of these deployers (words of `adopt.from`) that have set fields of this object."""
    patterns = [_MANAGERS[name] for name in deployers if name in _MANAGERS]
    managers = {str(entry.get("manager", "")) for entry in metadata.get("managedFields") or ()} if patterns else set()
    return frozenset(name for name in managers if any(pattern.fullmatch(name) for pattern in patterns))


def _managed_by(marks: _Marks, deployer: str) -> bool:
    return any(_MANAGERS[deployer].fullmatch(name) for name in marks.managers)


def _trimtab(marks: _Marks) -> Deployer | None:
    other = next(filter(_APP_MANAGER.fullmatch, sorted(marks.appliers)), "")
    label = marks.labels.get(_TRIMTAB_LABEL, "")
    detail = f"the Trimtab App {label or 'of another owner'} (field manager {other})"
    return Deployer("trimtab", detail, app=label) if other else None


def _argocd(marks: _Marks) -> Deployer | None:
    tracking = marks.annotations.get("argocd.argoproj.io/tracking-id", "")
    if tracking:
        return Deployer("argocd", f"the Argo CD application {tracking.partition(':')[0]}")
    return Deployer("argocd", "Argo CD") if _managed_by(marks, "argocd") else None


def _flux(marks: _Marks) -> Deployer | None:
    for kind, group in (("Kustomization", "kustomize"), ("HelmRelease", "helm")):
        name = marks.labels.get(f"{group}.toolkit.fluxcd.io/name", "")
        namespace = marks.labels.get(f"{group}.toolkit.fluxcd.io/namespace", "")
        if name:
            return Deployer("flux", f"the Flux {kind} {namespace}/{name}" if namespace else f"the Flux {kind} {name}")
    return Deployer("flux", "Flux") if _managed_by(marks, "flux") else None


def _kapp(marks: _Marks) -> Deployer | None:
    app = marks.labels.get("kapp.k14s.io/app", "")
    return Deployer("kapp", f"the kapp app {app}") if app else None


def _kluctl(marks: _Marks) -> Deployer | None:
    marked = any(name.startswith("kluctl.io/") for name in marks.annotations)
    return Deployer("kluctl", "kluctl") if marked or _managed_by(marks, "kluctl") else None


def _helm(marks: _Marks) -> Deployer | None:
    release = marks.annotations.get("meta.helm.sh/release-name", "")
    if release and marks.labels.get("app.kubernetes.io/managed-by") == "Helm":
        namespace = marks.annotations.get("meta.helm.sh/release-namespace", "")
        return Deployer(
            "helm", f"the Helm release {namespace}/{release}" if namespace else f"the Helm release {release}"
        )
    return Deployer("helm", "Helm") if _managed_by(marks, "helm") else None


#: Flux and Argo CD deploy charts too, so Helm's marks come last.
_RULES: tuple[Callable[[_Marks], Deployer | None], ...] = (_trimtab, _argocd, _flux, _kapp, _kluctl, _helm)
