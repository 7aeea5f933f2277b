"""The rule about objects that another App wants: they move, and are not deleted on the way."""

from pipeline.plan.vetoes.base import Candidate, Verdict


class Claimed:
    """Promise: what another App claims is handed over, whatever this App says about pruning."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Offer it, as long as it is ours to give."""
        live = candidate.live
        if not candidate.claimed_by or live is None or not live.is_ours(candidate.owner):
            return None
        return Verdict.OFFER, f"it is left to App {candidate.claimed_by}, which claims it, until that has taken it over"
