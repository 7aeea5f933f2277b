"""Rules about whose an object is: what this App did not surely create, or does not own now, is never deleted."""

from pipeline.inventory.record import Standing
from pipeline.plan.vetoes.base import Candidate, Verdict


class PruneOff:
    """The App says `prune.enabled: false`: what left the set stays, and stays in the inventory."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Keep everything."""
        return None if candidate.prune.enabled else (Verdict.KEEP, "prune is off for this App")


class Unlisted:
    """What could not be looked at cannot be judged: a refused LIST or a broken APIService keeps its objects."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Keep what was not listed."""
        if not candidate.unlisted:
            return None
        return Verdict.KEEP, f"its kind could not be listed: {candidate.unlisted}"


class NotOurs:
    """Another UID, another owner annotation, a copy of our labels, no Apply entry of ours: not ours to delete."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Forget what somebody else made; release what lost our marks, which is as good as a wish to keep it."""
        live, entry = candidate.live, candidate.entry
        if live is None:
            # Gone, or its label was taken off; only a read of that object tells (the apply room does it).
            return Verdict.RELEASE, "it no longer carries this App's label"
        if entry.uid and live.uid != entry.uid:
            return Verdict.RELEASE, "it was deleted and created again by somebody else"
        if not live.is_ours(candidate.owner):
            return Verdict.RELEASE, "its owner annotation or field ownership is no longer this App's"
        return None


class NotCreatedByUs:
    """Promise: nothing is deleted that this App did not create, unless the App says so for adopted objects."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Release what was adopted, and what a crash left in doubt."""
        if candidate.entry.standing is Standing.CREATED or candidate.prune.adopted:
            return None
        if candidate.entry.standing is Standing.PENDING:
            return Verdict.RELEASE, "a crash left in doubt who created it, so it counts as adopted"
        return Verdict.RELEASE, "it existed before this App and was adopted"
