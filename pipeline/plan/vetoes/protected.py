"""The rule about kinds whose deletion takes other people's data with it. What is inside, the act looks at."""

from pipeline.inventory.record import Standing
from pipeline.plan.vetoes.base import Candidate, Verdict
from renderers.manifest import ObjectId


def is_container(object_id: ObjectId) -> bool:
    """Whether other objects go with it: a Namespace, or a CustomResourceDefinition."""
    return (object_id.group, object_id.kind) in (
        ("", "Namespace"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
    )


class Protected:
    """Namespaces and CRDs hold others' objects, a PersistentVolumeClaim holds data: `prune.adopted` is not for them.

    A container that we created may go: whether anything of anyone else's is inside is seen right before its delete.
    """

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Release what we did not create, and a claim that does not carry the explicit permission."""
        object_id, live = candidate.entry.id, candidate.live
        claim = object_id.kind == "PersistentVolumeClaim" and not object_id.group
        if not claim and not is_container(object_id):
            return None
        if candidate.entry.standing is not Standing.CREATED:
            return Verdict.RELEASE, f"a {object_id.kind} that this App did not create is never deleted"
        if claim and (live is None or live.prune != "allowed"):
            return Verdict.RELEASE, 'a PersistentVolumeClaim is deleted only with trimtab.dev/prune: "allowed" on it'
        return None
