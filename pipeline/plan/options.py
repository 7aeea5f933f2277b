"""What the annotations of one manifest ask of its apply: order, patience, conflicts, recreation. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.app import parse_duration
from pipeline.errors import InputError
from pipeline.inventory.names import APPLY_ANNOTATION
from renderers.manifest import ObjectId

WAVE_ANNOTATION = "trimtab.dev/wave"
TIMEOUT_ANNOTATION = "trimtab.dev/timeout"
CONFLICTS_ANNOTATION = "trimtab.dev/conflicts"
RECREATE_ANNOTATION = "trimtab.dev/recreate"
_FLUX_IGNORE = "fluxcd.io/ignore"
_ARGO_WAVE = "argocd.argoproj.io/sync-wave"
DEPENDS_ON_ANNOTATION = "config.kubernetes.io/depends-on"
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Options:
    """What one object asks for; empty where it asks for nothing and the App decides.

    `apply` is `ignore` or `once`; `conflicts` take, yield or fail; `recreate` allowed or never; `timeout` seconds.
    """

    apply: str = ""
    conflicts: str = ""
    recreate: str = ""
    wave: int = 0
    depends_on: tuple[ObjectId, ...] = ()
    timeout: float | None = None


#: For an object that asks for nothing.
NONE = Options()


def options_of(annotations: Mapping[str, Any]) -> Options:
    """Read them. Raises InputError that names the annotation: what is misread could be applied wrongly."""
    timeout = annotations.get(TIMEOUT_ANNOTATION)
    return Options(
        apply="ignore" if annotations.get(_FLUX_IGNORE) == "true" else _word(annotations, APPLY_ANNOTATION),
        conflicts=_word(annotations, CONFLICTS_ANNOTATION),
        recreate=_word(annotations, RECREATE_ANNOTATION),
        wave=_wave(annotations),
        depends_on=_depends_on(str(annotations.get(DEPENDS_ON_ANNOTATION, ""))),
        timeout=None if timeout is None else parse_duration(str(timeout), what=f"the annotation {TIMEOUT_ANNOTATION}"),
    )


_WORDS = {
    APPLY_ANNOTATION: ("ignore", "once"),
    CONFLICTS_ANNOTATION: ("take", "yield", "fail"),
    RECREATE_ANNOTATION: ("allowed", "never"),
}


def _word(annotations: Mapping[str, Any], name: str) -> str:
    word = str(annotations.get(name, ""))
    if word and word not in _WORDS[name]:
        raise InputError(f"the annotation {name} is {word!r}", hint=f"write {' or '.join(_WORDS[name])}")
    return word


def _wave(annotations: Mapping[str, Any]) -> int:
    for name in (WAVE_ANNOTATION, _ARGO_WAVE):
        if name in annotations:
            text = str(annotations[name]).strip()
            if not _NUMBER.fullmatch(text):
                raise InputError(f"the annotation {name} is {text!r}", hint='write a whole number in quotes: "5", "-1"')
            return int(text)
    return 0


def _depends_on(text: str) -> tuple[ObjectId, ...]:
    """`group/kind/name` or `group/namespaces/namespace/kind/name`, several with commas (cli-utils)."""
    return tuple(_reference(part.strip()) for part in text.split(",")) if text else ()


def _reference(text: str) -> ObjectId:
    match text.split("/"):
        case [group, "namespaces", namespace, kind, name] if namespace and kind and name:
            return ObjectId(kind=kind, group=group, namespace=namespace, name=name)
        case [group, kind, name] if kind and name:
            return ObjectId(kind=kind, group=group, namespace="", name=name)
    raise InputError(
        f"the annotation {DEPENDS_ON_ANNOTATION} names {text!r}",
        hint="write GROUP/namespaces/NAMESPACE/KIND/NAME, or GROUP/KIND/NAME for what has no namespace",
    )
