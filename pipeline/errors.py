"""The kinds of errors, which drive exit codes and retries. What went wrong is said where it is raised."""

from renderers.manifest import TrimtabError

__all__ = [
    "ClusterUnreachableError",
    "CredentialsRefusedError",
    "InputError",
    "LeaseLostError",
    "SourceError",
    "SourceUnreachableError",
    "TrimtabError",
]


class InputError(TrimtabError):
    """What the user gave (a flag, an App, a folder) cannot be used; nothing was changed."""

    exit_code = 2
    reason = "InvalidSpec"


class SourceError(InputError):
    """The repository answered, and what was asked for is not in it or not allowed: a ref, a path, an URL's form."""

    reason = "SourceInvalid"


class SourceUnreachableError(TrimtabError):
    """The repository cannot be reached or refuses the credentials; the last state stays, and a later try may work."""

    temporary = True
    exit_code = 5
    reason = "SourceUnreachable"


class ClusterUnreachableError(TrimtabError):
    """No API server answers, or it refuses the credentials as a whole."""

    temporary = True
    exit_code = 5
    reason = "ClusterUnreachable"


class CredentialsRefusedError(ClusterUnreachableError):
    """The API server does not know who asks, or not any more."""

    reason = "CredentialsRefused"


class LeaseLostError(TrimtabError):
    """This process does not lead any more: another one may write now, so the sync ends and sends nothing more."""

    temporary = True
    reason = "LeaseLost"
