"""The rule about one object under two ids: a kind that is served in two API groups has its objects in both."""

from pipeline.plan.vetoes.base import Candidate, Verdict


class Moved:
    """An Ingress of `extensions` and of `networking.k8s.io` is one object with one UID: git moved it, nobody left."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Forget the old id; the set has the object under the new one."""
        live = candidate.live
        uid = live.uid if live is not None else candidate.entry.uid
        if not uid or uid not in candidate.kept_uids:
            return None
        return Verdict.FORGET, "the set has the same object under another API group"
