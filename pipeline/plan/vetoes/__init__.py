"""What keeps an object from being deleted: one small class a rule, asked in this order, the first answer stands.

A veto decides from what was read; it reads nothing itself. The guard, which looks at the whole prune and not at
one object, is in `guard.py`.
"""

from pipeline.plan.vetoes.base import Candidate, Verdict, Veto
from pipeline.plan.vetoes.claimed import Claimed
from pipeline.plan.vetoes.going import Going
from pipeline.plan.vetoes.kept import Kept, Misread
from pipeline.plan.vetoes.moved import Moved
from pipeline.plan.vetoes.ownership import NotCreatedByUs, NotOurs, PruneOff, Unlisted
from pipeline.plan.vetoes.protected import Protected

#: A move deletes nothing, so it comes first; then what keeps everything, what releases, and what only waits.
VETOES: tuple[Veto, ...] = (
    Moved(), Claimed(), PruneOff(), Unlisted(), NotOurs(), Kept(), NotCreatedByUs(), Misread(), Protected(), Going(),
)  # fmt: skip

__all__ = ["VETOES", "Candidate", "Claimed", "Going", "Kept", "Misread", "Moved", "NotCreatedByUs", "NotOurs",
           "Protected", "PruneOff", "Unlisted", "Verdict", "Veto"]  # fmt: skip
