"""The rule about kinds whose deletion takes other people's data with it."""

from pipeline.plan.vetoes.base import Candidate, Verdict

_CONTAINERS = {
    ("", "Namespace"): "a Namespace is never deleted by a prune: everything inside would go with it",
    ("apiextensions.k8s.io", "CustomResourceDefinition"): (
        "a CustomResourceDefinition is never deleted by a prune: all its objects would go with it"
    ),
}


class Protected:
    """Namespaces and CRDs hold others' objects, a PersistentVolumeClaim holds data."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Release a container of other objects; release a claim that does not carry the explicit permission."""
        object_id, live = candidate.entry.id, candidate.live
        reason = _CONTAINERS.get((object_id.group, object_id.kind))
        if reason is not None:
            return Verdict.RELEASE, reason
        claim = object_id.kind == "PersistentVolumeClaim" and not object_id.group
        if claim and (live is None or live.prune != "allowed"):
            return Verdict.RELEASE, 'a PersistentVolumeClaim is deleted only with trimtab.dev/prune: "allowed" on it'
        return None
