"""What repositories are asked, and what they said: plain values that the polls give and turns go by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.app import Place
from pipeline.control.resource import AppKey
from pipeline.errors import TrimtabError
from pipeline.source.credentials import Credentials

#: One source of an App; the name of the one that is rendered is empty.
Who = tuple[AppKey, str]


class Repository(NamedTuple):
    """One URL and who opens it. `secret` is namespace and name; empty names: the controller's own key, for git.

    `charts`: it is a repository of charts, or a chart in a registry.
    """

    url: str
    secret: tuple[str, str] = ("", "")
    charts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What a repository said last of one source. `asked` is the monotonic time at which it was asked.

    `commit` is the last one that is known, also while `error` says why there is no newer answer; `failures` counts
    the answers without one in a row.
    """

    asked: float
    commit: str = ""
    error: TrimtabError | None = None
    failures: int = 0

    @property
    def lost(self) -> bool:
        """Whether the source counts as out of reach: one answer that is missing may be a blink of the network."""
        return self.error is not None and (self.failures > 1 or not self.error.temporary)

    def differs(self, other: "Answer | None") -> bool:
        """Whether it says something else than another answer did."""
        if other is None:
            return True
        return (self.commit, self.lost, str(self.error)) != (other.commit, other.lost, str(other.error))


class Asker(Protocol):
    """Who can ask: `pipeline.source.sources.Sources`."""

    def resolve_all(
        self, places: Sequence[Place], credentials: Credentials | None
    ) -> Mapping[Place, str | TrimtabError]:
        """The commit of each place of one URL, or why there is none. Raises TrimtabError where none can be told."""
        ...


@dataclass(frozen=True, slots=True)
class Answers:
    """What all sources of an App said: the one that is rendered, and the further ones by name."""

    main: Answer
    others: Mapping[str, Answer]

    @property
    def commits(self) -> Mapping[str, str]:
        """Where the further sources are; empty where that is not known."""
        return {name: answer.commit for name, answer in self.others.items()}

    @property
    def asked(self) -> float:
        """The monotonic time since when all of them have been asked."""
        return min(answer.asked for answer in (self.main, *self.others.values()))

    @property
    def lost(self) -> TrimtabError | None:
        """Why one of the sources counts as out of reach."""
        return next((answer.error for answer in (self.main, *self.others.values()) if answer.lost), None)
