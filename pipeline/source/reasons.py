"""The words that an App's conditions and the metrics have for what is wrong with a source."""

from typing import Literal, TypeVar

from pipeline.errors import TrimtabError

Reason = Literal[
    "AuthenticationFailed",
    "CertificateUntrusted",
    "CommitNotFound",
    "HostKeyChanged",
    "HostKeyUnknown",
    "PathNotFound",
    "RefNotFound",
    "RepositoryNotFound",
    "SecretInvalid",
    "SourceUnreachable",
]
_Error = TypeVar("_Error", bound=TrimtabError)


def with_reason(error: _Error, reason: Reason, *, temporary: bool = False) -> _Error:
    """The same error with its reason. `temporary`: whether the same call may succeed later with the same inputs."""
    error.reason = reason
    error.temporary = temporary
    return error
