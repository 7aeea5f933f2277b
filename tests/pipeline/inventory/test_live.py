"""What a LIST says, and what it does not."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from harness import ControlPlane

from pipeline.cluster.connection import Connection
from pipeline.inventory.live import observe, read_live
from pipeline.inventory.store import CONFIG_MAPS


@pytest.fixture
def connection(control_plane: ControlPlane) -> Iterator[Connection]:
    """A connection of the administrator."""
    with Connection.open(kubeconfig=control_plane.kubeconfig) as opened:
        yield opened


def test_a_version_that_is_served_no_more_hides_objects_and_does_not_end_them(connection: Connection) -> None:
    gone = replace(CONFIG_MAPS, version="v0")
    live = read_live(connection, {gone: {"default"}}, selector="a=b", manager="m", expected={})
    assert set(live.unlisted) == {gone}


def test_a_namespace_that_is_gone_has_nothing(connection: Connection) -> None:
    live = read_live(connection, {CONFIG_MAPS: {"no-such-namespace"}}, selector="a=b", manager="m", expected={})
    assert (live.objects, live.unlisted) == ({}, {})


def test_wishes_on_an_object_are_read() -> None:
    annotations = {"trimtab.dev/prune": "first", "trimtab.dev/propagation": "Orphan", "fluxcd.io/ignore": "true"}
    metadata = {"name": "a", "uid": "u", "resourceVersion": "1", "annotations": annotations, "finalizers": ["x/y"]}
    live = observe({"metadata": metadata}, CONFIG_MAPS, manager="m")
    assert (live.prune, live.propagation, live.apply, live.finalizers) == ("first", "Orphan", "ignore", ("x/y",))
    assert not live.terminating
