"""What keeps an object from being deleted: one small class a rule, asked in this order, the first answer stands.

A veto decides from what was read; it reads nothing itself. The guard, which looks at the whole prune and not at
one object, is in `guard.py`.
"""

from pipeline.plan.vetoes.base import Candidate, Verdict, Veto
from pipeline.plan.vetoes.kept import Kept
from pipeline.plan.vetoes.ownership import NotCreatedByUs, NotOurs, PruneOff, Unlisted
from pipeline.plan.vetoes.protected import Protected

#: Rules that keep everything come first, then those that release.
VETOES: tuple[Veto, ...] = (PruneOff(), Unlisted(), NotOurs(), Kept(), NotCreatedByUs(), Protected())

__all__ = ["VETOES", "Candidate", "Kept", "NotCreatedByUs", "NotOurs", "Protected", "PruneOff", "Unlisted", "Verdict",
           "Veto"]  # fmt: skip
