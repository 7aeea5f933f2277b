"""The rule about objects that are being deleted already: nothing is to be done, and they are not gone yet."""

from collections.abc import Iterable

from pipeline.plan.vetoes.base import Candidate, Verdict


class Going:
    """Who set a finalizer takes it off when his work is done; nobody else may.

    Until then the object is in the inventory: what is deleted is gone only when it is gone.
    """

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Wait, and say for whom."""
        live = candidate.live
        if live is None or not live.terminating:
            return None
        return Verdict.WAIT, held_by(live.finalizers)


def held_by(finalizers: Iterable[str]) -> str:
    """The sentence about an object that was deleted and still lives."""
    # Every Namespace has this one, which Kubernetes takes off when all that is inside is gone.
    names = [name for name in finalizers if name != "kubernetes"]
    if not names:
        return "it was deleted, and is about to end"
    word, ends = ("finalizer", "is") if len(names) == 1 else ("finalizers", "are")
    return f"it was deleted, and lives until its {word} {', '.join(names)} {ends} taken off by whoever set them"
