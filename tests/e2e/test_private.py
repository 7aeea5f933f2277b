"""Apps of private repositories, over real ssh and https: the Secrets that people have, and what each mistake says."""

import json
import secrets
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import harness
import pytest
from control import Apps, Controller, Repository
from githttp import TOKEN, USER, Authority, GitHttp, basic
from sshd import Sshd
from waiting import until

from pipeline.source import sshkey

Make = Callable[..., dict[str, Any]]

KEY = sshkey.generate(comment="private").decode()
PUBLIC = sshkey.public_line(KEY.encode(), comment="private")


class Forge:
    """A host of private repositories: one repository, served over ssh and https."""

    def __init__(self, sshd: Sshd, https: GitHttp, authority: Authority, apps: Apps) -> None:
        self.sshd, self.https, self.authority, self.apps = sshd, https, authority, apps

    def secret(self, name: str, data: dict[str, str], *, namespace: str = "") -> None:
        """Make a Secret, or put another in its place."""
        where = {"name": name, "namespace": namespace or self.apps.namespace}
        encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": where, "data": encoded}
        self.apps.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(body))

    def trust(self) -> None:
        """Make the ssh server's host key known to the controller."""
        hosts = f"--from-literal=known_hosts={self.sshd.known_hosts}"
        self.apps.kubectl("create", "configmap", "trimtab-known-hosts", "-n", self.apps.namespace, hosts)

    def put(self, name: str, transport: str = "https", *, secret: str = "", interval: str = "1s", **git: str) -> None:
        """An App of the repository; `git` are further fields of its source."""
        url = (self.https if transport == "https" else self.sshd).url("origin.git")
        target = {"namespace": self.apps.namespace}
        self.apps.put(name, {"url": url, "secret": secret, **git}, interval=interval, target=target)

    def until_live(self, value: str, name: str = "one") -> None:
        """Wait until the ConfigMap of the repository has this value in the cluster."""
        path = ("-o", "jsonpath={.data.a}", "--ignore-not-found")
        until(lambda: self.apps.kubectl("get", "configmap", name, "-n", self.apps.namespace, *path) == value)


@pytest.fixture
def forge(repository: Repository, make_map: Make, apps: Apps, tmp_path: Path) -> Iterator[Forge]:
    """The repository has a ConfigMap `one` with the value 1. Who wants to read it needs a key or a token."""
    repository.commit(make_map("one"))
    authority = Authority()
    with ExitStack() as stack:
        sshd = stack.enter_context(Sshd(repository.bare.parent))
        https = stack.enter_context(GitHttp(repository.bare.parent, authority).running())
        sshd.allow(PUBLIC)
        yield Forge(sshd, https, authority, apps)


@pytest.fixture
def serve(control_plane: harness.ControlPlane, forge: Forge, tmp_path: Path) -> Iterator[Callable[..., Controller]]:
    """Starts the controller, which has nothing of its own that would open the repository."""
    started: list[Controller] = []

    def begin(*flags: str) -> Controller:
        started.append(Controller(control_plane, forge.apps.namespace, tmp_path, *flags))
        return started[-1]

    yield begin
    for controller in started:
        controller.kill()
        assert "Traceback" not in controller.text()


@pytest.fixture
def controller(serve: Callable[..., Controller]) -> Controller:
    return serve()


def _data(shape: str, forge: Forge) -> dict[str, str]:
    """What a Secret of this shape has in it."""
    ca, user = {"ca.crt": forge.authority.ca}, {"username": USER, "password": TOKEN}
    url = {"url": forge.https.url("origin.git"), "type": "git", "project": "default"}
    return {
        "Flux v2 password": user | ca,
        "Flux v2 bearer token": {"bearerToken": TOKEN} | ca,
        "Flux v2 SSH": {"identity": KEY, "identity.pub": PUBLIC, "known_hosts": forge.sshd.known_hosts},
        "Flux v1": {"identity": KEY},
        "Argo CD password": url | user | ca,
        "Argo CD SSH": {"url": forge.sshd.url("origin.git"), "type": "git", "sshPrivateKey": KEY},
        "kubernetes.io/ssh-auth": {"ssh-privatekey": KEY},
    }[shape]


@pytest.mark.parametrize(
    "shape", ["Flux v2 password", "Flux v2 bearer token", "Argo CD password", "Flux v2 SSH", "Flux v1", "Argo CD SSH"]
)
def test_a_secret_is_taken_as_it_is(
    forge: Forge, controller: Controller, repository: Repository, make_map: Make, shape: str
) -> None:
    data = _data(shape, forge)
    ssh = KEY in data.values()
    if ssh and "known_hosts" not in data:
        forge.trust()
    if "bearerToken" in data:
        forge.https.accepted = {f"Bearer {TOKEN}"}
    forge.secret("opens", data)
    forge.put("shop", "ssh" if ssh else "https", secret="opens")
    forge.until_live("1")
    forge.apps.until_ready("shop", repository.commit(make_map("one", a="2")))
    forge.until_live("2")


def test_a_server_of_an_own_authority_is_not_trusted_without_it(forge: Forge, controller: Controller) -> None:
    forge.secret("opens", {"username": USER, "password": TOKEN})
    forge.put("shop", secret="opens", interval="10m")
    assert "ca.crt" in forge.apps.until_reason("shop", "CertificateUntrusted")["message"]
    forge.secret("opens", _data("Flux v2 password", forge))
    forge.apps.until_ready("shop")


def test_an_expired_token_is_told_and_its_successor_taken_up_without_a_restart(
    forge: Forge, controller: Controller, repository: Repository, make_map: Make, trimtab: Callable[..., Any]
) -> None:
    forge.secret("opens", _data("Flux v2 password", forge))
    forge.put("shop", secret="opens", interval="10m")
    forge.apps.until_ready("shop")
    forge.https.accepted = {basic(USER, "next")}
    commit = repository.commit(make_map("one", a="2"))
    done = trimtab("sync", "shop", "-n", forge.apps.namespace)
    assert (done.code, "put a new token into the Secret" in done.out) == (5, True), done
    assert forge.apps.condition("shop")["reason"] == "AuthenticationFailed"
    forge.until_live("1")
    forge.secret("opens", _data("Flux v2 password", forge) | {"password": "next"})
    forge.apps.until_ready("shop", commit)
    forge.until_live("2")


def test_a_missing_secret_is_named_and_taken_up_once_it_is_there(forge: Forge, controller: Controller) -> None:
    forge.put("shop", secret="opens", interval="10m")
    message = forge.apps.until_reason("shop", "SecretNotFound")["message"]
    assert f"Secret {forge.apps.namespace}/opens" in message
    forge.secret("opens", _data("Flux v2 password", forge))
    forge.apps.until_ready("shop")


@pytest.mark.parametrize(
    ("transport", "data", "named"),
    [
        ("https", {"identity": KEY}, "identity"),
        ("ssh", {"username": USER, "password": TOKEN}, "password, username"),
        ("ssh", {"identity": "no key at all"}, "SSH key"),
        ("https", {"username": USER, "password": TOKEN, "ca.crt": "no certificate"}, "ca.crt"),
    ],
    ids=["an SSH key for https", "a token for ssh", "a broken key", "a broken CA"],
)
def test_a_secret_of_no_use_is_named_with_what_it_lacks(
    forge: Forge, controller: Controller, transport: str, data: dict[str, str], named: str
) -> None:
    forge.secret("opens", data)
    forge.put("shop", transport, secret="opens")
    message = forge.apps.until_reason("shop", "SecretInvalid")["message"]
    assert f"Secret {forge.apps.namespace}/opens" in message
    assert named in message
    forge.secret("opens", _data("Flux v2 password" if transport == "https" else "Flux v2 SSH", forge))
    forge.apps.until_ready("shop")


def test_the_controllers_key_serves_its_own_namespace_only(
    forge: Forge, serve: Callable[..., Controller], control_plane: harness.ControlPlane, other: str,
    trimtab: Callable[..., Any],
) -> None:  # fmt: skip
    serve("--watch-namespace", other)
    forge.trust()
    forge.put("shop", "ssh")
    forge.apps.until_reason("shop", "AuthenticationFailed")
    forge.sshd.allow(trimtab("identity", "-n", forge.apps.namespace).out)
    forge.apps.until_ready("shop")
    elsewhere, url = Apps(control_plane, other), forge.sshd.url("origin.git")
    elsewhere.put("shop", {"url": url}, target={"namespace": other})
    message = elsewhere.until_reason("shop", "SourceInvalid")["message"]
    assert "spec.source.secretRef" in message
    forge.secret("opens", _data("Flux v2 SSH", forge), namespace=other)
    elsewhere.put("shop", {"url": url, "secret": "opens"}, target={"namespace": other})
    elsewhere.until_ready("shop")


def test_a_path_of_the_controllers_machine_is_refused(
    forge: Forge, controller: Controller, repository: Repository
) -> None:
    forge.apps.put("shop", {"url": repository.url})
    message = forge.apps.until_reason("shop", "SourceInvalid")["message"]
    assert "a path on the controller's own machine" in message
    assert forge.apps.condition("shop", "SourceReady")["status"] == "False"


@pytest.fixture
def opened(forge: Forge, controller: Controller) -> Forge:
    """The Secret `opens` has what the repository wants."""
    forge.secret("opens", _data("Flux v2 password", forge))
    return forge


def test_a_range_of_versions_follows_a_new_tag(opened: Forge, repository: Repository, make_map: Make) -> None:
    first = _tag(repository, "v1.4.0")
    opened.put("shop", secret="opens", semver="~1.4")
    opened.apps.until_ready("shop", first)
    repository.commit(make_map("one", a="2"))
    _tag(repository, "v1.5.0")
    third = repository.commit(make_map("one", a="3"))
    _tag(repository, "v1.4.1")
    opened.apps.until_ready("shop", third)
    opened.until_live("3")
    assert "v1.4.1" in opened.apps.status("shop")["ref"]


def test_a_tag_is_followed_and_a_commit_is_kept(
    opened: Forge, repository: Repository, make_map: Make, trimtab: Callable[..., Any]
) -> None:
    first = _tag(repository, "stable")
    opened.put("shop", secret="opens", tag="stable")
    opened.apps.until_ready("shop", first)
    second = repository.commit(make_map("one", a="2"))
    repository.git("push", "-q", "--force", "origin", f"{second}:refs/tags/stable")
    opened.apps.until_ready("shop", second)
    opened.put("shop", secret="opens", commit=first)
    opened.apps.until_ready("shop", first)
    assert trimtab("sync", "shop", "-n", opened.apps.namespace).code == 0
    assert opened.apps.status("shop")["commit"] == first
    opened.until_live("1")


@pytest.mark.parametrize(
    ("git", "reason", "named"),
    [
        ({"branch": "gone"}, "RefNotFound", "gone"),
        ({"tag": "gone"}, "RefNotFound", "gone"),
        ({"semver": ">=9"}, "RefNotFound", ">=9"),
        ({"commit": "1" * 40}, "CommitNotFound", "1" * 40),
        ({"path": "gone"}, "PathNotFound", "gone"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_is_not_in_the_repository_is_named(
    opened: Forge, repository: Repository, git: dict[str, str], reason: str, named: str
) -> None:
    opened.put("shop", secret="opens", **git)
    assert named in opened.apps.until_reason("shop", reason)["message"]
    opened.put("shop", secret="opens")
    opened.apps.until_ready("shop")


def _tag(repository: Repository, name: str) -> str:
    """Tag the commit that is there, and say its id."""
    repository.git("tag", name)
    repository.git("push", "-q", "origin", name)
    return repository.git("rev-parse", "HEAD").strip()


@pytest.fixture
def other(control_plane: harness.ControlPlane) -> Iterator[str]:
    """A namespace beside the controller's own."""
    name = f"test-{secrets.token_hex(4)}"
    control_plane.kubectl("create", "namespace", name)
    yield name
    Apps(control_plane, name).free()
    control_plane.kubectl("delete", "namespace", name, "--wait=false")


class Watched:
    """The command lines of all processes of this machine, as long as the context lasts."""

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with suppress(OSError):
                    self.lines.add((process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.look()


def test_no_secret_value_is_ever_shown(
    forge: Forge, serve: Callable[..., Controller], repository: Repository, make_map: Make, tmp_path: Path,
    trimtab: Callable[..., Any],
) -> None:  # fmt: skip
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", tmp_path / "locked"], check=True)
    locked = (tmp_path / "locked").read_text()
    forge.sshd.allow((tmp_path / "locked.pub").read_text())
    good, ca = _data("Flux v2 password", forge), {"ca.crt": forge.authority.ca}
    hosts = {"known_hosts": forge.sshd.known_hosts}
    forge.https.accepted = {basic(USER, TOKEN), "Bearer be4rer-t0ken"}
    apps = {
        "password": ("https", good, "Succeeded"),
        "bearer": ("https", ca | {"bearerToken": "be4rer-t0ken"}, "Succeeded"),
        "expired": ("https", good | {"password": "exp1red-t0ken"}, "AuthenticationFailed"),
        "expired-bearer": ("https", ca | {"bearerToken": "exp1red-be4rer"}, "AuthenticationFailed"),
        "untrusted": ("https", {"username": USER, "password": "unsent-t0ken"}, "CertificateUntrusted"),
        "key": ("ssh", _data("Flux v2 SSH", forge), "Succeeded"),
        "locked": ("ssh", hosts | {"identity": locked, "password": "open sesame"}, "Succeeded"),
        "closed": ("ssh", hosts | {"identity": locked, "password": "open barley"}, "SecretInvalid"),
        "broken": ("ssh", {"identity": KEY.replace("AAAA", "BBBB")}, "SecretInvalid"),
        "line-break": ("https", good | {"password": "br0ken\nin-tw0"}, "SecretInvalid"),
    }
    with Watched() as watched:
        forge.https.on_request = watched.look
        # A server may say again what it was sent.
        forge.https.message = b"authentication failed: exp1red-t0ken\n"
        controller = serve("--log-level=debug")
        for name, (transport, data, _) in apps.items():
            repository.commit(make_map(name), folder=name)
            forge.secret(name, data)
            forge.put(name, transport, secret=name, path=name, interval="1m")
        for name, (*_, reason) in apps.items():
            forge.apps.until_reason(name, reason)
        shown = {
            "the log": controller.text(),
            "Apps, Events and ConfigMaps": forge.apps.kubectl(
                "get", "apps,events,configmaps", "-n", forge.apps.namespace, "-o", "json", "--show-managed-fields"
            ),
            "status": trimtab("status", "-n", forge.apps.namespace).out,
        }
    assert controller.stop() == 0, controller.text()[-3000:]
    shown["command lines"] = "\n".join(watched.lines)
    assert "git-remote-https" in shown["command lines"]
    assert "ssh -o BatchMode" in shown["command lines"]
    for file in (tmp_path / "cache").rglob("*"):
        shown[str(file)] = file.read_text(errors="replace") if file.is_file() else ""
    found = [(where, secret) for where, text in shown.items() for secret in _forms(apps) if secret in text]
    assert found == []


def _forms(apps: dict[str, tuple[str, dict[str, str], str]]) -> set[str]:
    """Each secret value, and how it is written in headers, URLs and Secrets; of a key each of its lines."""
    forms: set[str] = set()
    for _, data, _ in apps.values():
        for key in data.keys() - {"username", "ca.crt", "known_hosts", "identity.pub"}:
            for line in data[key].splitlines():
                if len(line) >= 5 and not line.startswith("-----"):
                    pair = basic(USER, line).removeprefix("Basic ")
                    forms |= {line, quote(line, safe=""), b64encode(line.encode()).decode().rstrip("="), pair}
    return forms
