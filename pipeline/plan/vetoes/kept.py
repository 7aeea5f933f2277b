"""The rules about wishes written on the live object: stay, or go in a way that must be readable."""

from pipeline.plan.vetoes.base import Candidate, Verdict

_WORDS = {"prune": ("never", "allowed", "first"), "propagation": ("Foreground", "Background", "Orphan")}


class Kept:
    """A person, or the chart, said on the object that it shall stay, or that it is none of our business."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Release it."""
        live = candidate.live
        if live is not None and live.prune == "never":
            return Verdict.RELEASE, 'it carries trimtab.dev/prune: "never"'
        if live is not None and live.keep:
            return Verdict.RELEASE, "it carries helm.sh/resource-policy: keep"
        if live is not None and live.apply == "ignore":
            return Verdict.RELEASE, 'it carries trimtab.dev/apply: "ignore"'
        return None


class Misread:
    """A wish that cannot be read may be one to keep it, or what hangs on it."""

    def ask(self, candidate: Candidate) -> tuple[Verdict, str] | None:
        """Wait until somebody has corrected it."""
        live = candidate.live
        for name, words in _WORDS.items():
            word = getattr(live, name, "")
            if word and word not in words:
                why = f"its annotation trimtab.dev/{name} is {word!r}\n  → write {', '.join(words[:-1])} or {words[-1]}"
                return Verdict.WAIT, why
        return None
