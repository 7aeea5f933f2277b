"""What goes wrong with a chart, as an error for people: what kind it is, and what to do. No message has credentials."""

import re
import ssl

import urllib3.exceptions

from pipeline.errors import SourceError, SourceUnreachableError
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason

_REACH = "check that the server is up and can be reached from here"
_TRUST = (
    "give the server's CA as ca.crt in the Secret (or in a file that SSL_CERT_FILE names); if its certificate has "
    "expired, or is for another name, that is the server's to mend"
)
_OWN_CERTIFICATE = "the server asks for a certificate of ours: give tls.crt and tls.key in the Secret"
_NO_TLS = re.compile(r"(?i)wrong.version.number|record.layer|packet.length|http.request")
_NAMES_SHOWN = 8


def some(names: list[str]) -> str:
    """As many names as a message lists."""
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def unreachable(url: str, cause: str, hint: str = _REACH) -> SourceUnreachableError:
    """The error for a server that does not answer as it should; a later try may work."""
    return SourceUnreachableError(f"{url} cannot be read: {cause}", hint=hint)


def late(url: str, seconds: float) -> SourceUnreachableError:
    """The error for a server that is too slow."""
    return unreachable(url, f"no answer within {seconds:g} seconds")


def too_big(url: str, limit: int) -> SourceError:
    """The error for an answer past a limit in bytes."""
    return SourceError(f"{url} has more than {limit >> 20} MiB", hint="is this the right URL?")


def refused_redirect(url: str, target: str) -> SourceUnreachableError:
    """The error for a redirect that is not followed."""
    error = unreachable(url, f"it sends on to {target}, which is not followed", "use the URL that it has moved to")
    return with_reason(error, "RepositoryNotFound")


def broken(failure: urllib3.exceptions.HTTPError, url: str, *, timeout: float) -> SourceUnreachableError:
    """The error for a connection that failed. `url` is without credentials; `timeout` (seconds) was its limit."""
    text = re.sub(r"[^\x20-\x7e]+", " ", str(failure))
    cause = failure.__cause__ or failure.__context__
    if isinstance(failure, urllib3.exceptions.ProxyError):
        error = unreachable(url, "the proxy does not let us through", "check HTTPS_PROXY and NO_PROXY")
    elif isinstance(failure, urllib3.exceptions.NameResolutionError):
        error = unreachable(url, "its host has no address", "check the host's name in the URL, and DNS")
    elif isinstance(failure, urllib3.exceptions.NewConnectionError):
        error = unreachable(url, ((isinstance(cause, OSError) and cause.strerror) or "no connection").lower())
    elif isinstance(failure, urllib3.exceptions.TimeoutError):
        error = late(url, timeout)
    elif isinstance(failure, urllib3.exceptions.SSLError):
        error = _tls(text, cause, url)
    elif "alert" in text.lower() and "certificate" in text.lower():  # TLS 1.3 tells it with the first answer
        error = with_reason(unreachable(url, "it does not know who we are", _OWN_CERTIFICATE), "AuthenticationFailed")
    else:
        error = unreachable(url, "the connection broke")
    error.__cause__ = failure
    return error


def speaks_no_tls(error: SourceUnreachableError) -> bool:
    """Whether the server answered, and not in TLS."""
    failure = error.__cause__
    return isinstance(failure, urllib3.exceptions.SSLError) and bool(_NO_TLS.search(str(failure)))


def _tls(text: str, cause: BaseException | None, url: str) -> SourceUnreachableError:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return with_reason(
            unreachable(url, f"its certificate is not trusted here ({cause.verify_message})", _TRUST),
            "CertificateUntrusted",
        )
    if re.search(r"certificate.required|bad.certificate|unknown.ca|certificate.unknown", text, re.IGNORECASE):
        return with_reason(unreachable(url, "it does not know who we are", _OWN_CERTIFICATE), "AuthenticationFailed")
    if _NO_TLS.search(text):
        return unreachable(url, "it speaks no TLS there", "use the port that https is served on")
    return unreachable(url, "TLS could not be agreed on", _OWN_CERTIFICATE)


def denied(url: str, status: int, credentials: Credentials) -> SourceUnreachableError:
    """The error for 401 and 403."""
    if credentials.bearer_token:
        hint = "the bearer token is wrong, has expired, or may not read this: put a new one into the Secret"
    elif credentials.password:
        hint = "user, password or token is wrong, has expired, or may not read this: put a new token into the Secret"
    else:
        hint = (
            "give a Secret with username and password (a token), which the source's secretRef names; a server may "
            "also ask for one when there is nothing of this name"
        )
    given = "refuses the credentials" if credentials.bearer_token or credentials.password else "asks for credentials"
    return with_reason(
        SourceUnreachableError(f"{url} cannot be read: the server {given} ({status})", hint=hint),
        "AuthenticationFailed",
    )


def bad_status(url: str, status: int, credentials: Credentials, *, missing: str = "") -> SourceUnreachableError:
    """The error for an answer that is none of those asked for. `missing` says what 404 means."""
    if status in {401, 403}:
        return denied(url, status, credentials)
    if status in {404, 410}:
        hint = "check the URL; a server may also say so when the credentials do not open it"
        error = SourceUnreachableError(missing or f"{url} cannot be read: there is no such thing ({status})", hint=hint)
        return with_reason(error, "RepositoryNotFound")
    if status == 429:
        return unreachable(url, "the server has had too many questions from here (429)", "the next try goes on")
    return unreachable(url, f"the server answers with {status}")
