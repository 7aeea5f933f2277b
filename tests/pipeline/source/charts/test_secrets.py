"""Secrets of repositories and of Docker, as people have them."""

import base64
import json

import pytest
from githttp import Authority

from pipeline.errors import SourceError
from pipeline.source.charts import credentials_of_chart_secret
from pipeline.source.credentials import Credentials

OCI = "oci://registry.example.com/team/app"


def docker(auths: dict[str, dict[str, str]], key: str = ".dockerconfigjson") -> dict[str, bytes]:
    return {key: json.dumps({"auths": auths} if key == ".dockerconfigjson" else auths).encode()}


def auth(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def names(data: dict[str, bytes], url: str = OCI) -> tuple[str, str]:
    found = credentials_of_chart_secret(data, url=url)
    return found.username, found.password


def test_a_secret_of_a_repository(authority: Authority) -> None:
    data = {"username": b"u", "password": b"p", "ca.crt": authority.ca.encode(), "enableOCI": b"true"}
    expected = Credentials(username="u", password="p", ca=authority.ca)
    for url in (OCI, "https://charts.example.com", "https://charts.example.com/stable/"):
        assert credentials_of_chart_secret(data, url=url) == expected


def test_a_secret_of_docker() -> None:
    assert names(docker({"registry.example.com": {"username": "u", "password": "p"}})) == ("u", "p")
    assert names(docker({"registry.example.com": auth("u:p:q")})) == ("u", "p:q")
    assert names(docker({"registry.example.com": auth("u:p")}, ".dockercfg")) == ("u", "p")


def test_a_ca_may_lie_beside_it(authority: Authority) -> None:
    data = {**docker({"registry.example.com": auth("u:p")}), "ca.crt": authority.ca.encode()}
    assert credentials_of_chart_secret(data, url=OCI).ca == authority.ca


@pytest.mark.parametrize(
    "key",
    [
        "https://registry.example.com", "https://registry.example.com/v2/", "registry.example.com/team",
        "registry.example.com/team/app", "*.example.com",
    ],
)  # fmt: skip
def test_hosts_are_matched_as_a_kubelet_does(key: str) -> None:
    assert names(docker({key: auth("u:p"), "other.example.com": auth("x:y")})) == ("u", "p")


def test_the_longest_match_counts() -> None:
    auths = {"registry.example.com": auth("a:b"), "registry.example.com/team": auth("u:p")}
    assert names(docker(auths)) == ("u", "p")
    assert names(docker(auths), "oci://registry.example.com/teams/app") == ("a", "b")


def test_the_hub_has_many_names() -> None:
    data = docker({"https://index.docker.io/v1/": auth("u:p")})
    for host in ("docker.io", "registry-1.docker.io"):
        assert names(data, f"oci://{host}/team/app") == ("u", "p")


@pytest.mark.parametrize("key", ["registry.example.com:5000", "*.com", "example.com", "registry.example.com/tea", "*"])
def test_what_names_another_place_is_not_taken(key: str) -> None:
    with pytest.raises(SourceError, match=r"has nothing for registry\.example\.com") as caught:
        names(docker({key: auth("u:s3cret")}))
    assert caught.value.reason == "SecretInvalid"
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({".dockerconfigjson": b"{"}, "no configuration of Docker"),
        ({".dockerconfigjson": b'{"auths": []}'}, "no configuration of Docker"),
        ({".dockerconfigjson": b"{}"}, "it has nothing"),
        (docker({"registry.example.com": {"auth": "%%%"}}), "no base64"),
        (docker({"registry.example.com": {"identitytoken": "s3cret"}}), "an identity token only"),
        (docker({"registry.example.com": {}}), "no password"),
        ({"identity": b"s3cret"}, "nothing that opens"),
    ],
)
def test_what_opens_nothing_is_told(data: dict[str, bytes], message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        names(data)
    assert caught.value.reason == "SecretInvalid"
    assert "s3cret" not in str(caught.value)


def test_a_token_of_docker() -> None:
    found = credentials_of_chart_secret(docker({"registry.example.com": {"registrytoken": "t"}}), url=OCI)
    assert found.bearer_token == "t"
