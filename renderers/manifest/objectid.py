"""ObjectId: the one name of a Kubernetes object that is the same everywhere in Trimtab."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True, order=True)
class ObjectId:
    """`Kind.group/namespace/name`, without the version: an object keeps its id when its API version moves.

    `group` is empty for the core group, `namespace` for a cluster-scoped kind (and for a manifest that names
    none, until discovery fills it in).
    """

    kind: str
    group: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind}/{self.namespace}/{self.name}" if self.namespace else f"{kind}/{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str()` wrote. Kinds and groups hold no `/`, names of objects neither (Kubernetes, object names).

        Raises ValueError for anything else.
        """
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(f"{text!r} is no object id: expected Kind.group/namespace/name")
        kind, _, group = parts[0].partition(".")
        if not kind:
            raise ValueError(f"{text!r} is no object id: the kind is empty")
        return cls(kind=kind, group=group, namespace=parts[1] if len(parts) == 3 else "", name=parts[-1])
