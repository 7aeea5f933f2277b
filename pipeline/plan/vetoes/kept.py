"""The rule about wishes written on the live object: `trimtab.dev/prune: "never"` and Helm's `keep`."""

from pipeline.plan.vetoes.base import Candidate, Verdict


class Kept:
    """A person, or the chart, said on the object that it shall stay."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Release it."""
        live = candidate.live
        if live is not None and live.prune == "never":
            return Verdict.RELEASE, 'it carries trimtab.dev/prune: "never"'
        if live is not None and live.keep:
            return Verdict.RELEASE, "it carries helm.sh/resource-policy: keep"
        return None
