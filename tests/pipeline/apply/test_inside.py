"""What goes with a container that is deleted, and what keeps it."""

import pytest

from pipeline.apply.inside import Inner, staying
from renderers.manifest import ObjectId

_WEB = ObjectId("Deployment", "apps", "x", "web")
_KINDS = {("apps", "ReplicaSet"), ("", "Pod"), ("", "Secret"), ("apps", "Deployment")}
_SET, _POD = ("rs", "apps", "ReplicaSet"), ("pod", "", "Pod")


def _inner(kind: str, uid: str, *owners: tuple[str, str, str], group: str = "", name: str = "") -> Inner:
    return Inner(ObjectId(kind, group, "x", name or uid), uid, owners)


def _staying(*found: Inner, going: dict[str, ObjectId] | None = None) -> list[str]:
    return [object_id.name for object_id in staying(found, _KINDS, going or {"dep": _WEB})]


def test_what_was_deleted_and_its_chain_of_owners_goes() -> None:
    """In any order of the lists."""
    chain = [
        _inner("Pod", "pod", _SET),
        _inner("Deployment", "dep", group="apps"),
        _inner("ReplicaSet", "rs", ("dep", "apps", "Deployment"), group="apps"),
    ]
    assert _staying(*chain) == []
    assert _staying(*chain[1:], chain[0]) == []
    assert _staying(*chain, going={"other": _WEB}) == ["dep", "pod", "rs"]


def test_what_lives_stays_with_all_that_it_owns() -> None:
    found = [_inner("ReplicaSet", "rs", group="apps"), _inner("Pod", "pod", _SET)]
    assert _staying(*found) == ["pod", "rs"]


def test_what_lost_its_owner_is_garbage_already() -> None:
    """The garbage collector is in the middle of its work: the ReplicaSet has gone, its Pod not yet."""
    assert _staying(_inner("Pod", "pod", _SET)) == []


def test_an_owner_that_could_not_be_seen_may_live() -> None:
    """A cluster-scoped one, or one of a kind that is not listed."""
    assert _staying(_inner("Pod", "pod", ("node", "", "Node"))) == ["pod"]


def test_a_second_owner_that_lives_keeps_it() -> None:
    found = [_inner("Secret", "s", ("dep", "apps", "Deployment"), _POD), _inner("Pod", "pod")]
    assert _staying(*found) == ["pod", "s"]


@pytest.mark.parametrize(
    ("kind", "name", "stays"),
    [
        ("ConfigMap", "kube-root-ca.crt", False),
        ("ServiceAccount", "default", False),
        ("ConfigMap", "default", True),
        ("ServiceAccount", "kube-root-ca.crt", True),
        ("Lease", "default", True),
    ],
)
def test_what_kubernetes_puts_into_every_namespace_does_not_count(kind: str, name: str, *, stays: bool) -> None:
    assert bool(_staying(_inner(kind, "u", name=name))) is stays


def test_what_hangs_on_kubernetes_own_objects_counts() -> None:
    found = [_inner("ServiceAccount", "sa", name="default"), _inner("Secret", "s", ("sa", "", "ServiceAccount"))]
    assert _staying(*found) == ["s"]


def test_endpoints_share_the_fate_of_the_service_of_their_name() -> None:
    going = {"svc": ObjectId("Service", "", "x", "web")}
    mirrored = _inner("EndpointSlice", "slice", ("ep", "", "Endpoints"), group="discovery.k8s.io")
    assert _staying(_inner("Endpoints", "ep", name="web"), mirrored, going=going) == []
    assert _staying(_inner("Endpoints", "ep", name="other"), going=going) == ["other"]
    theirs = [_inner("Endpoints", "ep", name="theirs"), _inner("Service", "s", name="theirs")]
    assert staying(theirs, _KINDS, going) == [ObjectId("Service", "", "x", "theirs")]
