"""What a Secret says of a chart repository or a registry: those of repositories, and Docker's configuration. Pure.

Sources of the shape: kubernetes.io/docs/concepts/containers/images (how a kubelet matches hosts), and the Secrets of
`kubectl create secret docker-registry`.
"""

import base64
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

import msgspec

from pipeline.errors import SourceError
from pipeline.location import chart_transport_of
from pipeline.source.credentials import Credentials
from pipeline.source.reasons import with_reason
from pipeline.source.secrets import credentials_of_secret

_DOCKER = ".dockerconfigjson"
_OLD_DOCKER = ".dockercfg"
#: Argo CD's, which say nothing of who may read.
_BESIDE = {"enableOCI", "enableOci"}
_MAKE = "make it with `kubectl create secret docker-registry`"
_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}


class _Entry(msgspec.Struct, frozen=True, rename="lower"):
    username: str = ""
    password: str = ""
    auth: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


class _Configuration(msgspec.Struct, frozen=True):
    auths: dict[str, _Entry] = {}


def credentials_of_chart_secret(data: Mapping[str, bytes], *, url: str) -> Credentials:
    """What the Secret's data (decoded from base64) means for the chart repository or registry at this URL.

    It has the keys of a repository's Secret, or is one of type kubernetes.io/dockerconfigjson, with ca.crt besides
    where that is needed. Raises SourceError (SecretInvalid), which names keys of the Secret and no value.
    """
    chart_transport_of(url)
    place = re.sub(r"^\w+://", "", url)
    rest = {key: value for key, value in data.items() if key not in {_DOCKER, _OLD_DOCKER, *_BESIDE}}
    if _DOCKER not in data and _OLD_DOCKER not in data:
        return credentials_of_secret(rest, url=f"https://{place}/charts", known_hosts="")
    entry = _entry(data, place)
    added: dict[str, bytes] = {}
    if entry.registrytoken:
        added["bearerToken"] = entry.registrytoken.encode()
    else:
        username, password = _pair(entry)
        added |= {"username": username.encode(), "password": password.encode()}
    return credentials_of_secret({**rest, **added}, url=f"https://{place}/charts", known_hosts="")


def _entry(data: Mapping[str, bytes], place: str) -> _Entry:
    """What Docker's configuration has for this place; of several the one that names most of its path."""
    key = _DOCKER if _DOCKER in data else _OLD_DOCKER
    try:
        if key == _DOCKER:
            auths = msgspec.json.decode(data[key], type=_Configuration).auths
        else:
            auths = msgspec.json.decode(data[key], type=dict[str, _Entry])
    except msgspec.MsgspecError as e:
        raise _invalid(f"the Secret's key {key} is no configuration of Docker", _MAKE) from e
    found = {_place(name): entry for name, entry in auths.items() if _covers(_place(name), place)}
    if not found:
        raise _invalid(
            f"the Secret's key {key} has nothing for {place.partition('/')[0]}: it has "
            f"{', '.join(sorted(map(_place, auths))) or 'nothing'}",
            "add the registry, as host or host:port",
        )
    return found[max(found, key=len)]


def _place(name: str) -> str:
    """Host and path of a key of Docker's: some are URLs, some with the version of an API in it."""
    return re.sub(r"/v[12]/?$|/$", "", re.sub(r"^https?://", "", name))


def _covers(pattern: str, place: str) -> bool:
    host, _, path = pattern.partition("/")
    asked, _, below = place.partition("/")
    if host in _HUB and asked in _HUB:
        return True
    labels, asked_labels = host.split("."), asked.split(".")
    if len(labels) != len(asked_labels) or not all(map(fnmatchcase, asked_labels, labels)):
        return False
    return not path or f"{below}/".startswith(f"{path}/")


def _pair(entry: _Entry) -> tuple[str, str]:
    if entry.password:
        return entry.username, entry.password
    if entry.auth:
        try:
            username, _, password = base64.b64decode(entry.auth, validate=True).decode().partition(":")
        except ValueError as e:
            raise _invalid("the auth in the Secret's configuration of Docker is no base64", _MAKE) from e
        if password:
            return username, password.rstrip("\0")
    what = "an identity token only" if entry.identitytoken else "no password"
    raise _invalid(f"the Secret's configuration of Docker has {what}", "give username and password (a token)")


def _invalid(message: str, hint: str) -> SourceError:
    return with_reason(SourceError(message, hint=hint), "SecretInvalid")
