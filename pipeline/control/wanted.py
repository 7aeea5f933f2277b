"""Which commit an App is to be at: its source's or, while a rollback holds, the one that was gone back to. Pure."""

from collections.abc import Mapping

from pipeline.app.status import Rollback
from pipeline.control.answers import Answer
from pipeline.control.resource import HEAD, REJECTED_ANNOTATION, ROLLBACK_ANNOTATION


def wanted_commit(answer: Answer | None, annotations: Mapping[str, str]) -> tuple[str, Rollback | None]:
    """The commit, empty where none is known, and the rollback that makes it this one.

    A rollback holds as long as the source is at the commit that was rejected, or says nothing.
    """
    commit = answer.commit if answer is not None else ""
    to, rejected = annotations.get(ROLLBACK_ANNOTATION, ""), annotations.get(REJECTED_ANNOTATION, "")
    if to and rejected == HEAD:
        return to, Rollback(to, commit)
    if to and rejected and commit in ("", rejected):
        return to, Rollback(to, rejected)
    return commit, None
