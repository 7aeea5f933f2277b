"""References to elsewhere: what kustomize takes for one, and having it fetched, or all refused together."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from renderers.api import Fetched, RenderError
from renderers.manifest import TrimtabError

#: What kustomize's loader gets by HTTP, whatever lies in the folder.
_HTTP = re.compile(r"https?:", re.IGNORECASE)
#: What it clones where there is no such file (`git.NewRepoSpecFromURL`), and any other scheme.
_CLONED = re.compile(r"git::|[a-z][a-z0-9+.-]*://|(www\.)?github\.com[/:]|[a-z][a-z0-9-]*@[^/]*[:/]", re.IGNORECASE)
_SINGLE_FILE = re.compile(r"https?:[^?#]*\.(ya?ml|json)([?#].*)?", re.IGNORECASE)
#: What makes an URL a repository's, whatever stands behind it (`git.NewRepoSpecFromURL`).
_REPOSITORY = re.compile(r"[^/:]//|\.git(/|$|\?)|_git/")
_PASSWORD = re.compile(r"//[^/@\s]*:[^/@\s]*@")


def is_remote(text: str, folder: Path) -> bool:
    """Whether kustomize would fetch what a kustomization in `folder` calls so."""
    if _HTTP.match(text):
        return True
    return bool(_CLONED.match(text)) and not os.path.isfile(folder / text)  # noqa: PTH113 - raises nothing


def brief(text: str) -> str:
    """The reference for people: an URL may hold a password, and what should have been an inline patch is long."""
    text = re.sub(r"//[^/@\s]*@", "//", text)
    line = text.partition("\n")[0]
    return text if len(text) <= 200 and line == text else f"{line[:200]}…"


class Elsewhere:
    """Has things fetched; what is refused is collected, so that one error can name all of it."""

    def __init__(self) -> None:
        self._refused: list[TrimtabError] = []

    def fetch(self, field: str, url: str, where: str, fetch: Callable[[], Fetched]) -> Fetched | None:
        """What `fetch` brings; None where it is refused. `field` in the file `where` names it."""
        if _PASSWORD.search(url):
            self._refuse(
                RenderError(
                    f"{field} refers to {brief(url)} with a password in it",
                    where=where,
                    hint="take it out: credentials come from the App's Secret",
                )
            )
            return None
        try:
            return fetch()
        except TrimtabError as e:
            self._refuse(e.retold(f"{field}: {e.message}", where=e.where or where))
            return None

    def base(self, field: str, url: str, where: str, fetch: Callable[[], Fetched]) -> Fetched | None:
        """The same for what may name a single file, which is never fetched."""
        if _SINGLE_FILE.fullmatch(url) and not _REPOSITORY.search(url):
            self.refuse_file(field, url, where)
            return None
        return self.fetch(field, url, where, fetch)

    def refuse_file(self, field: str, url: str, where: str) -> None:
        """A single file is remote."""
        self._refuse(
            RenderError(
                f"{field} refers to {brief(url)}, which is remote, and a single file is not fetched",
                where=where,
                hint="copy it into the repository, and refer to the copy",
            )
        )

    def raise_refused(self) -> None:
        """Raise one error for all that was refused, of the kind of the first and with its hint."""
        if not self._refused:
            return
        first, *others = self._refused
        message = "; ".join([first.message, *(f"{error.where}: {error.message}" for error in others)])
        raise first.retold(message, where=first.where)

    def _refuse(self, error: TrimtabError) -> None:
        if str(error) not in map(str, self._refused):
            self._refused.append(error)
