"""How a registry is told who asks: by a token of its token server, or by user and password. Nothing is kept on disk."""

import re
import threading
import time
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import msgspec

from pipeline.errors import SourceUnreachableError
from pipeline.location import redacted
from pipeline.source.charts import failure
from pipeline.source.charts.place import is_allowed, is_loopback
from pipeline.source.charts.web import Answer, Question, Web, authorization, basic
from pipeline.source.credentials import Credentials

_MAX_TOKEN = 64 << 10
#: What a token lasts where its server does not say, and how much earlier a new one is asked for; seconds.
_LASTS = 60
_EARLIER = 10
_REMEMBERED = 512
_SPEAKS = re.compile(r"\b(Bearer|Basic)\b\s*((?:\s*,?\s*\w+=(?:\"[^\"]*\"|[^\s,\"]+))*)", re.IGNORECASE)
_PARAMETER = re.compile(r"(\w+)=(?:\"([^\"]*)\"|([^\s,\"]+))")


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    expires_in: int | None = None


class Tokens:
    """Asks registries, and shows what opens them when they ask for it. For any number of threads."""

    def __init__(self, web: Web) -> None:
        self._web = web
        self._lock = threading.Lock()
        #: Host, repository and credentials → the header, and until when it is good (monotonic).
        self._headers: dict[tuple[str, str, str], tuple[str, float]] = {}

    def ask(self, question: Question, repository: str, credentials: Credentials) -> Answer:
        """The registry's answer to a question about one repository; 401 only where nothing helps. As Web.ask."""
        key = (urlsplit(question.url).netloc, repository, credentials.digest)
        known = self._known(key) or (authorization(credentials) if credentials.bearer_token else "")
        answer = self._once(question, known, credentials)
        if answer.status != 401:
            return answer
        header = self._challenged(answer, repository, credentials, key)
        return self._once(question, header, credentials) if header else answer

    def _once(self, question: Question, header: str, credentials: Credentials) -> Answer:
        return self._web.ask(replace(question, headers={**question.headers, "Authorization": header}), credentials)

    def _known(self, key: tuple[str, str, str]) -> str:
        with self._lock:
            header, until = self._headers.get(key, ("", 0.0))
        return header if time.monotonic() < until else ""

    def _challenged(self, answer: Answer, repository: str, credentials: Credentials, key: tuple[str, str, str]) -> str:
        """The header that the registry asks for; empty where there is nothing to show."""
        challenge = answer.headers.get("www-authenticate", "")
        asked = {kind.lower(): _parameters(said) for kind, said in _SPEAKS.findall(challenge)}
        header, lasts = "", float("inf")
        if realm := asked.get("bearer", {}).get("realm", ""):
            header, lasts = self._token(realm, asked["bearer"].get("service", ""), repository, credentials, answer.url)
        elif "basic" in asked:
            header = basic(credentials)
        with self._lock:
            self._headers.pop(key, None)
            if header:
                self._headers[key] = (header, time.monotonic() + lasts - _EARLIER)
            if len(self._headers) > _REMEMBERED:
                del self._headers[next(iter(self._headers))]
        return header

    def _token(
        self, realm: str, service: str, repository: str, credentials: Credentials, url: str
    ) -> tuple[str, float]:
        """A token that may read this one repository, whatever more the registry asks for; and how long it lasts."""
        shown = redacted(realm)
        if not is_allowed(realm) or (is_loopback(realm) and not is_loopback(url)):
            raise failure.unreachable(url, f"it asks for a token of {shown}, which is not asked", "use https")
        query = {"scope": f"repository:{repository}:pull", **({"service": service} if service else {})}
        asked = f"{realm}{'&' if '?' in realm else '?'}{urlencode(query)}"
        question = Question(asked, _MAX_TOKEN, headers={"Authorization": basic(credentials)}, home=url)
        answer = self._web.ask(question, credentials)
        if answer.status != 200:
            raise failure.bad_status(shown, answer.status, credentials)
        try:
            token = msgspec.json.decode(answer.body, type=_Token)
        except msgspec.MsgspecError as e:
            raise self._no_token(shown) from e
        text = token.token or token.access_token
        if not text or not re.fullmatch(r"[\x21-\x7e]+", text):
            raise self._no_token(shown)
        return f"Bearer {text}", float(_LASTS if token.expires_in is None else token.expires_in)

    def _no_token(self, shown: str) -> SourceUnreachableError:
        return failure.unreachable(shown, "it gives no token", "ask who runs the registry")


def _parameters(said: str) -> dict[str, str]:
    return {name.lower(): quoted or plain for name, quoted, plain in _PARAMETER.findall(said)}
