"""The status of an App resource: what the controller says of it, as `kubectl get app -o yaml` shows it. Data only.

Read leniently: a newer controller may say more.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

_about = msgspec.Meta

#: How many entries each list may have, so that an App of thousands of objects stays a small resource.
HISTORY_MAX = 10
LIST_MAX = 50


class _Said(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What every part of a status is: immutable, camelCase in YAML."""


class Condition(_Said, frozen=True):
    """One condition (Kubernetes API conventions, metav1.Condition)."""

    type: Annotated[str, _about(description="Ready, SourceReady, Synced or Healthy.")]
    status: Annotated[Literal["True", "False", "Unknown"], _about(description="True, False or Unknown.")]
    reason: Annotated[str, _about(description="Why, as one CamelCase word.")]
    message: Annotated[str, _about(description="Why, and what to do, for people.")] = ""
    last_transition_time: Annotated[str, _about(description="When status last changed (RFC 3339).")] = ""
    observed_generation: Annotated[int, _about(description="The metadata.generation that this speaks of.")] = 0


class Past(_Said, frozen=True):
    """One sync that changed something, or ended otherwise than the one before it."""

    at: Annotated[str, _about(description="When it ended (RFC 3339).")]
    reason: Annotated[str, _about(description="How it ended, as one CamelCase word.")]
    message: Annotated[str, _about(description="How it ended, for people.")] = ""
    commit: Annotated[str, _about(description="The full commit id, or VERSION@DIGEST of a chart.")] = ""
    healthy: Annotated[bool, _about(description="Whether all was applied and ready.")] = False
    counts: Annotated[Mapping[str, int], _about(description="Objects by what became of them.")] = {}


class Held(_Said, frozen=True):
    """A prune that waits for a person."""

    digest: Annotated[str, _about(description="Names exactly these objects; an approval is bound to it.")]
    count: Annotated[int, _about(description="How many objects.")]
    objects: Annotated[tuple[str, ...], _about(description="Their ids, at most 50.")] = ()


class Problem(_Said, frozen=True):
    """One object that is not as it should be."""

    object: Annotated[str, _about(description="The object's id: Kind.group/namespace/name.")]
    reason: Annotated[Literal["Failed", "Refused", "NotReady"], _about(description="What is wrong with it.")]
    message: Annotated[str, _about(description="Why, and what to do.")] = ""


class Brought(_Said, frozen=True):
    """Something that was read beside the source: one of spec.sources, or what a render fetched."""

    url: Annotated[str, _about(description="Where it is from.")]
    version: Annotated[str, _about(description="What is followed there, or a chart's version.")]
    id: Annotated[str, _about(description="The full commit id, or the digest of a chart.")]
    name: Annotated[str, _about(description="Its name in spec.sources; empty for what a render fetched.")] = ""


class Rollback(_Said, frozen=True):
    """A person went back to an older commit."""

    to: Annotated[str, _about(description="The commit that is kept.")]
    rejected: Annotated[str, _about(description="The commit that is not taken again; a newer one is.")]


class Status(_Said, frozen=True):
    """What the controller says of an App."""

    observed_generation: Annotated[int, _about(description="The metadata.generation that was last acted on.")] = 0
    conditions: Annotated[tuple[Condition, ...], _about(description="Ready sums the others up.")] = ()
    commit: Annotated[
        str, _about(description="The commit of the last sync that said anything new; of a chart, VERSION@DIGEST.")
    ] = ""
    short_commit: Annotated[str, _about(description="The same, cut to 12 digits; of a chart, its version.")] = ""
    ref: Annotated[str, _about(description="What is followed: branch main, tag v1.2.0, chart nginx ~1.2 (1.2.7).")] = ""
    sources: Annotated[
        tuple[Brought, ...],
        _about(description="What was read beside the source: other sources, bases, charts; at most 50."),
    ] = ()
    objects: Annotated[int, _about(description="How many objects the inventory has.")] = 0
    inventory: Annotated[str, _about(description="Where the inventory is: namespace/name of a ConfigMap.")] = ""
    last_handled_sync: Annotated[
        str, _about(description="The value of the annotation trimtab.dev/sync-requested that was last answered.")
    ] = ""
    held: Annotated[Held | None, _about(description="A prune that waits for `trimtab approve`.")] = None
    problems: Annotated[tuple[Problem, ...], _about(description="Objects in trouble, at most 50.")] = ()
    warnings: Annotated[tuple[str, ...], _about(description="What is doubtful in the manifests, at most 50.")] = ()
    rollback: Annotated[Rollback | None, _about(description="Set while a rollback holds.")] = None
    history: Annotated[tuple[Past, ...], _about(description="The last syncs, newest first, at most 10.")] = ()

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type."""
        return next((condition for condition in self.conditions if condition.type == kind), None)


def status_of(resource: Mapping[str, Any]) -> Status:
    """The status in an object of the API server; an empty one where there is none, or none that can be read."""
    try:
        return msgspec.convert(resource.get("status") or {}, Status)
    except msgspec.ValidationError:
        return Status()
