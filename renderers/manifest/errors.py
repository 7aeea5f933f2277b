"""The base of every error that a person may meet. The lowest room, because every other room raises one."""

from typing import Self


class TrimtabError(Exception):
    """An error for people: what was wrong, where, and what to do about it.

    `message` says object, verb and cause in one sentence; `where` is a place (`file:line:column`, an object id,
    a URL without credentials) or empty; `hint` says what to do, or is empty. Never put a secret value into any.
    `temporary` tells whether the same call may succeed later with the same inputs; it drives retries.
    `exit_code` is what a command that ends with this error exits with (docs/commands.md has the table). `reason` is
    the CamelCase word that an App's conditions and the metrics have for it (Kubernetes API conventions): the kind's,
    unless this error has one of its own.
    """

    temporary = False
    exit_code = 1
    reason = "Failed"

    def __init__(self, message: str, *, where: str = "", hint: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint
        if reason:
            self.reason = reason

    def retold(self, message: str, *, where: str) -> Self:
        """The same error in other words: of its kind, with its hint and reason, and as temporary as it is."""
        error = type(self).__new__(type(self), message)
        vars(error).update(vars(self), message=message, where=where)
        return error

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  → {self.hint}" if self.hint else text


class ManifestError(TrimtabError):
    """A document that is no Kubernetes object, or that no YAML reader should touch."""

    exit_code = 2
    reason = "RenderFailed"
