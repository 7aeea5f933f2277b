"""The connection against the real API server: configuration, credentials, kept wires, retries, streams."""

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from apiproxy import ApiProxy
from harness import ControlPlane

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.discovery import Resource
from pipeline.cluster.errors import ApiError
from pipeline.errors import ClusterUnreachableError, InputError

Write = Callable[..., Path]


def whoami(connection: Connection) -> dict[str, Any]:
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).encode()
    answer = connection.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    info: dict[str, Any] = answer["status"]["userInfo"]
    return info


def test_no_kubeconfig_and_no_pod_is_no_cluster() -> None:
    with pytest.raises(ClusterUnreachableError, match="no kubeconfig at /nonexistent") as caught:
        Connection.open()
    assert "--kubeconfig" in caught.value.hint


def test_a_kubeconfig_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        Connection.open(kubeconfig=tmp_path / "none")


def test_an_unknown_context_names_those_that_exist(kubeconfig: Write) -> None:
    with pytest.raises(InputError, match="no context 'there'") as caught:
        Connection.open(kubeconfig=kubeconfig(), context="there")
    assert "here" in caught.value.hint


def test_broken_yaml_is_one_error_without_the_token(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("users: [{name: me, user: {token: hush}}\n")
    with pytest.raises(ClusterUnreachableError, match="cannot be used") as caught:
        Connection.open(kubeconfig=path)
    assert "hush" not in str(caught.value)


def test_an_error_in_a_user_entry_does_not_show_the_entry(kubeconfig: Write) -> None:
    with pytest.raises(ClusterUnreachableError) as caught:
        Connection.open(kubeconfig=kubeconfig(user={"password": "hush", "exec": {"args": []}}))
    assert "hush" not in str(caught.value)


def test_the_first_file_of_a_kubeconfig_list_says_the_context(
    kubeconfig: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.write_text(json.dumps({"current-context": "nowhere", "contexts": [], "clusters": [], "users": []}))
    monkeypatch.setenv("KUBECONFIG", f"{kubeconfig()}:{other}")
    with Connection.open() as connection:
        assert whoami(connection)["username"]


def test_impersonation_is_honoured(kubeconfig: Write, control_plane: ControlPlane) -> None:
    user = {"token": control_plane.token, "as": "somebody", "as-groups": ["one", "two"]}
    with Connection.open(kubeconfig=kubeconfig(user=user)) as connection:
        info = whoami(connection)
    assert info["username"] == "somebody"
    assert {"one", "two"} <= set(info["groups"])


def test_a_token_file_may_end_in_a_newline(kubeconfig: Write, control_plane: ControlPlane, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(f"{control_plane.token}\n")
    with Connection.open(kubeconfig=kubeconfig(user={"tokenFile": str(token)})) as connection:
        assert whoami(connection)["username"]


def test_a_rotated_token_file_is_read_again_when_the_old_one_is_refused(
    kubeconfig: Write, control_plane: ControlPlane, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text("expired")
    with Connection.open(kubeconfig=kubeconfig(user={"tokenFile": str(token)})) as connection:
        token.write_text(control_plane.token)
        assert whoami(connection)["username"]
        assert connection.requests["POST"] == 2


def test_refused_credentials_are_no_api_error(kubeconfig: Write) -> None:
    with (
        Connection.open(kubeconfig=kubeconfig(user={"token": "wrong"})) as connection,
        pytest.raises(ClusterUnreachableError, match="refuses the credentials") as caught,
    ):
        whoami(connection)
    assert "wrong" not in str(caught.value)


def test_an_exec_plug_in_gives_the_token(kubeconfig: Write, control_plane: ControlPlane, tmp_path: Path) -> None:
    plugin = {"command": str(_plugin(tmp_path, control_plane.token)), "apiVersion": "client.authentication.k8s.io/v1"}
    with Connection.open(kubeconfig=kubeconfig(user={"exec": plugin})) as connection:
        assert whoami(connection)["username"]


def test_an_exec_plug_in_is_asked_again_when_the_token_expires(
    kubeconfig: Write, control_plane: ControlPlane, tmp_path: Path
) -> None:
    plugin = _plugin(tmp_path, control_plane.token, expirationTimestamp="2020-01-01T00:00:00Z")
    user = {"exec": {"command": str(plugin), "apiVersion": "client.authentication.k8s.io/v1"}}
    with Connection.open(kubeconfig=kubeconfig(user=user)) as connection:
        before = (tmp_path / "runs").read_text()
        assert whoami(connection)["username"]
        assert len((tmp_path / "runs").read_text()) == len(before) + len("x\n")


def test_in_a_pod_the_service_account_is_used(
    control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(control_plane.token)
    server = urlsplit(control_plane.url)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", server.hostname or "")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(control_plane.ca))
    with Connection.open() as connection:
        assert connection.server == control_plane.url
        assert whoami(connection)["username"]


def test_an_exec_plug_in_that_fails_says_why(kubeconfig: Write, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text("#!/bin/sh\necho please log in >&2\nexit 3\n")
    plugin.chmod(0o700)
    user = {"exec": {"command": str(plugin), "apiVersion": "client.authentication.k8s.io/v1"}}
    with pytest.raises(ClusterUnreachableError, match="please log in"):
        Connection.open(kubeconfig=kubeconfig(user=user))


def test_a_client_certificate_leaves_no_key_behind(
    kubeconfig: Write, control_plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    key, certificate = _self_signed(tmp_path)
    user = {"client-certificate-data": certificate, "client-key-data": key, "token": control_plane.token}
    with Connection.open(kubeconfig=kubeconfig(user=user)) as connection:
        # The API server does not know this certificate and asks for none; that TLS comes up shows that it loads.
        assert whoami(connection)["username"]
    assert list(folder.iterdir()) == []


def test_a_server_with_another_certificate_is_refused(kubeconfig: Write, tmp_path: Path) -> None:
    _, other = _self_signed(tmp_path)
    path = kubeconfig(cluster={"certificate-authority-data": other})
    with (
        Connection.open(kubeconfig=path) as connection,
        pytest.raises(ClusterUnreachableError, match="certificate is not trusted"),
    ):
        connection.call("GET", "/version")


def test_tls_server_name_is_the_name_that_the_certificate_must_have(kubeconfig: Write) -> None:
    path = kubeconfig(cluster={"tls-server-name": "no.such.name"})
    with (
        Connection.open(kubeconfig=path) as connection,
        pytest.raises(ClusterUnreachableError, match="certificate is not trusted"),
    ):
        connection.call("GET", "/version")


def test_insecure_skip_tls_verify_is_honoured(kubeconfig: Write, tmp_path: Path) -> None:
    _, other = _self_signed(tmp_path)
    cluster = {"insecure-skip-tls-verify": True, "certificate-authority-data": other}
    with Connection.open(kubeconfig=kubeconfig(cluster=cluster)) as connection:
        assert connection.call("GET", "/version")["major"]


def test_the_proxy_of_the_kubeconfig_is_used(
    kubeconfig: Write, relay: Callable[..., Any], control_plane: ControlPlane
) -> None:
    proxy = relay(tunnel=True)
    url = f"http://user:pass@127.0.0.1:{proxy.address[1]}"
    with Connection.open(kubeconfig=kubeconfig(cluster={"proxy-url": url})) as connection:
        assert connection.call("GET", "/version")["major"]
    assert len(proxy.asked) == 1
    assert proxy.asked[0].startswith(f"CONNECT {control_plane.url.removeprefix('https://')} ")
    assert base64.b64encode(b"user:pass").decode() in proxy.asked[0]


def test_the_environments_proxy_is_used_but_not_for_this_machine(
    kubeconfig: Write, relay: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = relay(tunnel=True)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.address[1]}")
    with Connection.open(kubeconfig=kubeconfig()) as connection:
        assert connection.call("GET", "/version")["major"]
    assert proxy.asked == []
    cluster = {"server": "https://cluster.example:6443", "tls-server-name": "127.0.0.1"}
    with Connection.open(kubeconfig=kubeconfig(cluster=cluster)) as connection:
        assert connection.call("GET", "/version")["major"]
    assert proxy.asked[0].startswith("CONNECT cluster.example:6443 ")
    monkeypatch.setenv("NO_PROXY", ".example")
    with (
        Connection.open(kubeconfig=kubeconfig(cluster=cluster)) as connection,
        pytest.raises(ClusterUnreachableError),
    ):
        connection.call("GET", "/version")
    assert len(proxy.asked) == 1


def test_an_unsupported_proxy_is_said(kubeconfig: Write) -> None:
    with pytest.raises(ClusterUnreachableError, match="socks5"):
        Connection.open(kubeconfig=kubeconfig(cluster={"proxy-url": "socks5://127.0.0.1:1"}))


def test_a_refused_connection_names_the_server(kubeconfig: Write) -> None:
    with (
        Connection.open(kubeconfig=kubeconfig(cluster={"server": "https://127.0.0.1:1"})) as connection,
        pytest.raises(ClusterUnreachableError, match=r"https://127\.0\.0\.1:1 cannot be reached: connection refused"),
    ):
        connection.call("GET", "/version")
    assert connection.requests["GET"] <= 1  # nothing was sent


def test_one_wire_serves_one_request_after_another(kubeconfig: Write, relay: Callable[..., Any]) -> None:
    through = relay()
    with Connection.open(kubeconfig=kubeconfig(cluster={"server": _url(through)})) as connection:
        for _ in range(5):
            connection.call("GET", "/version")
    assert through.connections == 1


def test_a_kept_wire_that_the_server_closed_is_replaced_unseen(kubeconfig: Write, relay: Callable[..., Any]) -> None:
    through = relay()
    with Connection.open(kubeconfig=kubeconfig(cluster={"server": _url(through)})) as connection:
        connection.call("GET", "/version")
        through.cut()
        assert connection.call("GET", "/version")["major"]
    assert through.connections == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_passing_refusal_is_tried_again(control_plane: ControlPlane, tmp_path: Path, status: int) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda number, *_, **__: (status, b"busy") if number < 3 else None
        with Connection.open(kubeconfig=proxy.kubeconfig(tmp_path / "config", control_plane.token)) as connection:
            assert connection.call("GET", "/version")["major"]
            assert connection.requests["GET"] == 3


@pytest.mark.parametrize(("seconds", "requests"), [(1, 2), (600, 1)])
def test_the_servers_own_word_on_when_to_try_again_counts(kubeconfig: Write, seconds: int, requests: int) -> None:
    asked: list[float] = []

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            if len(asked) < 2:
                self.send_response(429)
                self.send_header("Retry-After", str(seconds))
                self.end_headers()
                self.wfile.write(b"Too many requests, please try again later.")
            else:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with Connection.open(kubeconfig=kubeconfig(cluster={"server": url})) as connection:
            response = connection.request("GET", "/version")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert len(asked) == requests
    assert response.status == (200 if requests == 2 else 429)
    assert asked[-1] - asked[0] >= seconds * (requests - 1)


def test_a_refusal_that_does_not_pass_ends_as_a_temporary_error(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (503, b"no server\n")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection:
            threading.Timer(1.0, connection.close).start()  # so that the test need not wait for the deadline
            with pytest.raises(ApiError, match="no server") as caught:
                connection.call("GET", "/version")
    assert caught.value.temporary
    assert caught.value.status == 503


def test_an_error_of_the_server_is_not_tried_again(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (500, b"oops")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with Connection.open(kubeconfig=path) as connection, pytest.raises(ApiError, match="oops") as caught:
            connection.call("GET", "/version")
    assert caught.value.temporary
    assert len(proxy.requests) == 1


def test_what_is_no_api_server_is_said(control_plane: ControlPlane, tmp_path: Path) -> None:
    with ApiProxy(control_plane.url, control_plane.ca) as proxy:
        proxy.strike = lambda *_, **__: (200, b"<html>Welcome</html>")
        path = proxy.kubeconfig(tmp_path / "config", control_plane.token)
        with (
            Connection.open(kubeconfig=path) as connection,
            pytest.raises(ClusterUnreachableError, match="does not answer as a Kubernetes API server"),
        ):
            connection.call("GET", "/version")


def test_threads_share_a_connection_and_every_request_is_counted(
    connection: Connection, config_maps: Resource, namespace: str
) -> None:
    connection.requests.clear()

    def read() -> None:
        for _ in range(10):
            objects.get(connection, config_maps, namespace, "none")

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connection.requests == {"GET": 80}


def test_a_body_that_is_too_large_is_the_servers_answer(
    connection: Connection, config_maps: Resource, namespace: str
) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"}, "data": {"a": "x" * 5_000_000}}
    with pytest.raises(ApiError) as caught:
        objects.create(connection, config_maps, namespace, body, manager="trimtab-test")
    assert caught.value.status == 413
    assert objects.get(connection, config_maps, namespace, "big") is None


def test_stop_ends_a_stream_that_waits(connection: Connection, config_maps: Resource, namespace: str) -> None:
    stop = threading.Event()
    _, version = objects.list_objects(connection, config_maps, namespace, selector="none=none")
    ended = threading.Event()

    def follow() -> None:
        for _ in objects.watch(
            connection, config_maps, namespace, selector="none=none", resource_version=version, stop=stop
        ):
            pass
        ended.set()

    thread = threading.Thread(target=follow)
    thread.start()
    _until(lambda: connection.requests["WATCH"] == 1)
    stop.set()
    assert ended.wait(10)
    thread.join()


def test_close_ends_a_stream_that_waits(control_plane: ControlPlane, config_maps: Resource, namespace: str) -> None:
    connection = Connection.open(kubeconfig=control_plane.kubeconfig)
    events: list[Any] = []
    watch = objects.watch(
        connection, config_maps, namespace, selector="none=none", resource_version="0", stop=threading.Event()
    )
    thread = threading.Thread(target=lambda: events.extend(watch))
    thread.start()
    _until(lambda: connection.requests["WATCH"] == 1)
    connection.close()
    thread.join(10)
    assert not thread.is_alive()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _url(relay: Any) -> str:
    return f"https://127.0.0.1:{relay.address[1]}"


def _plugin(folder: Path, token: str, **status: str) -> Path:
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": token, **status},
    }
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\necho x >>{folder}/runs\ncat <<'END'\n{json.dumps(answer)}\nEND\n")
    plugin.chmod(0o700)
    return plugin


def _self_signed(folder: Path) -> tuple[str, str]:
    """A key and its certificate, in base64 as a kubeconfig has them."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=nobody", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    return base64.b64encode(key.read_bytes()).decode(), base64.b64encode(certificate.read_bytes()).decode()
