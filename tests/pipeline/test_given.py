"""Values, variables and keys from ConfigMaps and Secrets of an App's namespace, on a real API server."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import ControlPlane

from pipeline.app import App, Decryption, Metadata, SecretRef, Spec
from pipeline.cluster.connection import Connection
from pipeline.errors import InputError
from pipeline.given import decryption_of, is_given, read_given
from renderers.settings import HelmStep, RenderStep, SubstituteStep, ValuesFrom, VarsFrom

KEY = "AGE-SECRET-KEY-1QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"
PGP = "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nxxx\n-----END PGP PRIVATE KEY BLOCK-----\n"

Put = Callable[..., None]


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    made = Connection.open(kubeconfig=control_plane.kubeconfig, context="")
    yield made
    made.close()


@pytest.fixture
def put(control_plane: ControlPlane, namespace: str) -> Put:
    """Makes a ConfigMap or a Secret."""

    def make(kind: str, name: str, data: dict[str, str], **more: Any) -> None:
        encoded = {key: b64encode(value.encode()).decode() for key, value in data.items()}
        body = {
            "apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
            "data": encoded if kind == "Secret" else data, **more,
        }  # fmt: skip
        control_plane.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(body))

    return make


def app(namespace: str, *steps: RenderStep, keys: str = "") -> App:
    decryption = Decryption(SecretRef(keys)) if keys else None
    return App(Metadata("shop", namespace), Spec(render=steps, decryption=decryption))


def values(*refs: ValuesFrom) -> RenderStep:
    return RenderStep(helm=HelmStep(values_from=refs))


def test_values_and_variables_are_what_the_objects_hold(connection: Connection, namespace: str, put: Put) -> None:
    put("ConfigMap", "plain", {"values.yaml": "a: 1\n"}, binaryData={"bytes": b64encode(b"\xff").decode()})
    put("Secret", "hidden", {"other.yaml": "b: 2\n"})
    refs = (ValuesFrom("ConfigMap", "plain"), ValuesFrom("Secret", "hidden", "other.yaml"))
    binary = ValuesFrom("ConfigMap", "plain", "bytes")
    names = VarsFrom("Secret", "hidden")
    steps = (values(*refs, binary), RenderStep(substitute=SubstituteStep(from_=(names,))))
    given = read_given(connection, app(namespace, *steps))
    assert given.values == {refs[0]: b"a: 1\n", refs[1]: b"b: 2\n", binary: b"\xff"}
    assert given.variables == {names: {"other.yaml": "b: 2\n"}}


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_what_is_missing_is_named(connection: Connection, namespace: str, put: Put, kind: str) -> None:
    ref = ValuesFrom(kind, "absent")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"{kind} {namespace}/absent, which .* does not exist") as caught:
        read_given(connection, app(namespace, values(ref)))
    assert caught.value.reason == "ValuesNotFound"
    put(kind, "absent", {"other": "x"})
    with pytest.raises(InputError, match=r"has no key values\.yaml"):
        read_given(connection, app(namespace, values(ref)))


def test_missing_variables_are_named(connection: Connection, namespace: str) -> None:
    step = RenderStep(substitute=SubstituteStep(from_=(VarsFrom("ConfigMap", "absent"),)))
    with pytest.raises(InputError, match=f"ConfigMap {namespace}/absent"):
        read_given(connection, app(namespace, step))


def test_what_is_optional_may_be_missing(connection: Connection, namespace: str) -> None:
    names = VarsFrom("Secret", "absent", optional=True)
    steps = (
        values(ValuesFrom("Secret", "absent", optional=True)),
        RenderStep(substitute=SubstituteStep(from_=(names,))),
    )
    given = read_given(connection, app(namespace, *steps))
    assert (given.values, given.variables) == ({}, {})


def test_a_change_of_content_changes_the_digest_and_nothing_shows_it(
    connection: Connection, namespace: str, put: Put
) -> None:
    shop = app(namespace, values(ValuesFrom("Secret", "v")))
    digests = set()
    for content in ("h1dden-a", "h1dden-b", "h1dden-a"):
        put("Secret", "v", {"values.yaml": content})
        given = read_given(connection, shop)
        digests.add(given.digest)
        assert "h1dden" not in repr(given)
    assert len(digests) == 2


def test_the_keys_of_a_secret_open_files(connection: Connection, namespace: str, put: Put) -> None:
    put("Secret", "keys", {"a.agekey": f"# created: now\n{KEY}\n\n{KEY}\n", "b.asc": PGP, "note": "x"})
    decryption = read_given(connection, app(namespace, keys="keys")).decryption
    assert decryption.age == (KEY, KEY)
    assert decryption.pgp == (PGP.encode(),)
    assert "AGE-SECRET" not in repr(decryption)


def test_a_missing_secret_with_keys_is_named(connection: Connection, namespace: str) -> None:
    with pytest.raises(InputError, match=f"Secret {namespace}/keys, which opens encrypted files") as caught:
        read_given(connection, app(namespace, keys="keys"))
    assert caught.value.reason == "SecretNotFound"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "its keys are none"),
        ({"key.txt": KEY.encode()}, "its keys are key.txt"),
        ({"a.agekey": b"no key s3cr3t"}, "a.agekey holds no age identity"),
        ({"a.agekey": b"\xff"}, "a.agekey holds no age identity"),
        ({"a.asc": KEY.encode()}, "a.asc holds no armored OpenPGP private key"),
    ],
)
def test_a_secret_that_opens_nothing_is_told_without_its_content(data: dict[str, bytes], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        decryption_of(data, where="Secret a/b")
    assert caught.value.reason == "SecretInvalid"
    assert "s3cr3t" not in str(caught.value)
    assert "AGE-SECRET-KEY-1" not in caught.value.message


def test_an_app_that_names_nothing_asks_no_cluster() -> None:
    assert not is_given(app("a", RenderStep(helm=HelmStep()), RenderStep(namespace="x")))
    assert is_given(app("a", values(ValuesFrom("Secret", "v", optional=True))))
    assert is_given(app("a", keys="keys"))
