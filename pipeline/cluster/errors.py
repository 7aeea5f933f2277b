"""What the API server said no with: one error type, and questions that the rest of the code asks of it.

No I/O.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.errors import TrimtabError

#: Server-side apply reports what does not fit the schema as 500 without a reason; it is for good
#: nevertheless.
_SCHEMA_ERROR = re.compile(
    r"^failed to create typed patch object|^failed to convert new object|field not declared in schema"
)
_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_DENIED = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) '
    r'resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
#: How Go prints a value that the schema did not expect.
_GO_VALUE = re.compile(r"&value\.valueUnstructured\{Value:(.*)\}$", re.MULTILINE)
_TEXT_MAX = 300


@dataclass(frozen=True, slots=True)
class Cause:
    """One entry of a Status' `details.causes`.

    `field` is a path such as `.spec.replicas` or `metadata.uid`.
    """

    reason: str
    field: str
    message: str


class ApiError(TrimtabError):
    """The API server answered a request with a failure.

    `status` is the HTTP status, `reason` the Status' reason (RequestFailed where there was none),
    `verb` the request's verb as in the API server's metrics. `kind` and `name` say what the server speaks of:
    `configmaps`, or `ConfigMap`. `retry_after` are seconds the server asks to wait. `temporary`: the same
    request may succeed later.
    """

    reason = "RequestFailed"

    def __init__(
        self,
        status: int,
        message: str,
        *,
        reason: str = "",
        causes: tuple[Cause, ...] = (),
        about: tuple[str, str] = ("", ""),
        verb: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=_hint(status, message, causes))
        self.status = status
        self.reason = reason or ApiError.reason
        self.causes = causes
        self.kind, self.name = about
        self.verb = verb
        self.retry_after = retry_after
        self.temporary = status == 429 or (status >= 500 and not _SCHEMA_ERROR.search(message))

    @classmethod
    def of(cls, status: int, body: bytes, *, verb: str = "", retry_after: float | None = None) -> "ApiError":
        """Read the body of a failed answer: a Status, or the text of a server or proxy before the API."""
        try:
            data = msgspec.json.decode(body)
        except msgspec.DecodeError:
            data = None
        if isinstance(data, Mapping) and data.get("kind") == "Status":
            return cls.of_status(data, verb=verb, retry_after=retry_after, status=status)
        text = " ".join(body.decode(errors="replace").split())[:_TEXT_MAX]
        return cls(status, text or f"the API server answered HTTP {status}", verb=verb, retry_after=retry_after)

    @classmethod
    def of_status(
        cls, data: Mapping[str, Any], *, verb: str = "", retry_after: float | None = None, status: int = 0
    ) -> "ApiError":
        """From a Status object, as an answer or as the ERROR event of a watch."""
        details = data.get("details") or {}
        causes = tuple(
            Cause(item.get("reason", ""), item.get("field", ""), item.get("message", ""))
            for item in details.get("causes") or ()
        )
        seconds = details.get("retryAfterSeconds")
        return cls(
            status or int(data.get("code") or 500),
            _cleaned(str(data.get("message") or data.get("reason") or "the API server gave no reason")),
            reason=str(data.get("reason") or ""),
            causes=causes,
            about=(details.get("kind", ""), details.get("name", "")),
            verb=verb,
            retry_after=retry_after if retry_after is not None or not seconds else float(seconds),
        )

    @property
    def not_found(self) -> bool:
        """404: no such object, namespace or kind."""
        return self.status == 404

    @property
    def namespace_missing(self) -> bool:
        """The namespace of the request does not exist."""
        return self.status == 404 and self.kind == "namespaces"

    @property
    def kind_missing(self) -> bool:
        """The path is not served: no such group, version or resource."""
        return self.status == 404 and not self.kind

    @property
    def schema_lag(self) -> bool:
        """A field is not in the schema: a mistake, or a change of a CRD that is not taken up yet."""
        return self.status == 500 and "field not declared in schema" in self.message

    @property
    def conflict(self) -> bool:
        """A server-side apply without force met fields of other managers."""
        return self.status == 409 and any(cause.reason == "FieldManagerConflict" for cause in self.causes)

    def conflicting_managers(self) -> tuple[tuple[str, str], ...]:
        """Manager and field of each conflict; the manager is empty where the message has another form."""
        conflicts = (cause for cause in self.causes if cause.reason == "FieldManagerConflict")
        return tuple((_manager(cause.message), cause.field) for cause in conflicts)

    @property
    def duplicate(self) -> bool:
        """Two items of a list have what only one may have, such as a name."""
        return self.status == 422 and any(cause.reason == "FieldValueDuplicate" for cause in self.causes)

    @property
    def overtaken(self) -> bool:
        """Somebody wrote, or created, the object while this write was under way: the same one may do now."""
        return self.status == 409 and (self.reason == "AlreadyExists" or "object has been modified" in self.message)

    @property
    def uid_mismatch(self) -> bool:
        """The object is gone (409), or another one has its name (409 for a delete, 422 for an apply)."""
        if self.status == 409:
            return "uid mismatch" in self.message or "UID in the precondition" in self.message
        return self.status == 422 and any(cause.field == "metadata.uid" for cause in self.causes)

    @property
    def forbidden(self) -> bool:
        """403: a right is missing, or admission (a quota, a namespace that is being deleted) refused."""
        return self.status == 403


def _cleaned(message: str) -> str:
    """The message without Go's own way of printing values, and without what was in a Secret.

    The schema errors of server-side apply quote the offending value, which for a Secret nobody may see.
    """
    if "Kind=Secret)" in message:
        return message.partition(", got ")[0]
    return _GO_VALUE.sub(r"\1", message)


def _hint(status: int, message: str, causes: tuple[Cause, ...]) -> str:
    if any(cause.reason == "NamespaceTerminating" for cause in causes):
        return "wait until the namespace is gone, then sync again"
    denied = _DENIED.search(message) if status == 403 else None
    if denied is None:
        return ""
    resource = f"{denied['resource']}.{denied['group']}" if denied["group"] else denied["resource"]
    place = f"in namespace {denied['namespace']}" if denied["namespace"] else "in the whole cluster"
    return f"give {denied['user']} the verb {denied['verb']} on {resource} {place} (a Role and its RoleBinding)"


def _manager(message: str) -> str:
    match = _MANAGER.search(message)
    return match[1] if match else ""
