"""Removing Trimtab, in every way that people do it, deletes no workload and leaves nothing Terminating (promise 13)."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from control import Repository
from deployment import NAMESPACE, Installation, Process, World
from waiting import until

from pipeline.cluster.connection import Connection

pytestmark = pytest.mark.slow

TEAMS = ("team-a", "team-b", "team-c")


@pytest.fixture(scope="module")
def plane(tools: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.ControlPlane]:
    """A control plane of its own: here the definition of Apps is deleted."""
    with harness.shared_control_plane(tmp_path_factory.mktemp("plane"), tools) as started:
        yield started


@pytest.fixture
def connection(plane: harness.ControlPlane) -> Iterator[Connection]:
    with Connection.open(kubeconfig=plane.kubeconfig) as opened:
        yield opened


def manifest(kind: str, name: str, api_version: str = "v1", **rest: Any) -> dict[str, Any]:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **rest}


def deployment(name: str) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return manifest("Deployment", name, "apps/v1", spec=spec)


def crd() -> dict[str, Any]:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    names = {"kind": "Widget", "plural": "widgets", "singular": "widget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    return manifest("CustomResourceDefinition", "widgets.example.com", "apiextensions.k8s.io/v1", spec=spec)


class Stock:
    """Apps in some namespaces, with all that an App can own."""

    def __init__(self, plane: harness.ControlPlane, connection: Connection, repository: Repository) -> None:
        self.plane, self.connection, self.repository = plane, connection, repository
        self.before = World(objects={})

    def fill(self, *, count: int = 20, homes: tuple[str, ...] = (NAMESPACE, "team-a")) -> None:
        """Make the repository and the Apps, and wait until all are ready."""
        for team in TEAMS:
            self.plane.kubectl("create", "namespace", team)
        self.plane.kubectl("create", "configmap", "settings", "-n", "team-a", "--from-literal=before=us")
        more = {
            1: [manifest("ClusterRole", "reader", "rbac.authorization.k8s.io/v1", rules=[])],
            2: [crd(), manifest("Widget", "one", "example.com/v1", spec={"size": 1})],
            3: [manifest("ConfigMap", "settings", data={"since": "us"})],
            4: [manifest("Namespace", "made")],
        }
        apps = []
        for number in range(1, count + 1):
            name, home, team = f"app-{number:02}", homes[number % len(homes)], TEAMS[number // 2 % len(TEAMS)]
            team = "team-a" if number == 3 else team
            folder = self.repository.work / name
            folder.mkdir()
            objects = [deployment(name), manifest("ConfigMap", name, data={"a": "1"}), *more.get(number, ())]
            for item in objects:
                (folder / f"{item['kind']}-{item['metadata']['name']}.json").write_text(json.dumps(item))
            source = {"git": {"url": self.repository.url, "path": name}}
            apps.append(app(name, home, source=source, target={"namespace": team}, interval="1s"))
        self.repository.commit()
        self.plane.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": apps}))
        self.plane.kubectl("wait", "--for=condition=Ready", "apps", "--all", "-A", "--timeout=90s")
        self.before = self.look()
        assert len(self.before.owned()) == 2 * count + 5

    def until_going(self, kind: str, name: str) -> None:
        """Wait until it is Terminating, or gone."""

        def going() -> bool:
            text = self.plane.kubectl("get", kind, name, "--ignore-not-found", "-o", "json")
            return not text or "deletionTimestamp" in json.loads(text)["metadata"]

        until(going)

    def look(self) -> World:
        return World.seen(self.connection)

    def assert_untouched(self) -> None:
        """Every workload runs as before, and nothing says that we were there."""
        until(lambda: not self.look().going(), patience=60)
        now = self.look()
        pods = self.before.uids("Pod")
        workloads = {**self.before.owned(), **{key: uid for key, uid in pods.items() if f"/{NAMESPACE}/" not in key}}
        assert len(workloads) > len(self.before.owned())
        assert {key: now.uids().get(key) for key in workloads} == workloads
        # Kubernetes copies what a Deployment is annotated with to its ReplicaSets, and never takes it off there.
        assert {key for key in now.marked() if not key.startswith("ReplicaSet/")} == set()

    def empty(self) -> None:
        """Take the workloads off again."""
        self.plane.kubectl("delete", "namespace", *TEAMS, "made", "--ignore-not-found")
        self.plane.kubectl("delete", "clusterrole/reader", "crd/widgets.example.com", "--ignore-not-found")


def app(name: str, home: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "trimtab.dev/v1alpha1", "kind": "App",
        "metadata": {"name": name, "namespace": home}, "spec": spec,
    }  # fmt: skip


@pytest.fixture
def install(plane: harness.ControlPlane, tmp_path: Path) -> Iterator[Callable[..., Installation]]:
    """Applies the files of deploy/."""
    made: list[Installation] = []

    def begin(**options: str) -> Installation:
        flags = ("--allow-file-urls", "--watch-all-namespaces", "--lease-duration=3s")
        made.append(Installation(plane, tmp_path, *flags, **options))
        made[-1].apply()
        return made[-1]

    yield begin
    for installation in made:
        installation.close()


@pytest.fixture
def installation(install: Callable[..., Installation]) -> Installation:
    return install()


@pytest.fixture
def stock(plane: harness.ControlPlane, connection: Connection, tmp_path: Path) -> Iterator[Stock]:
    made = Stock(plane, connection, Repository(tmp_path / "git"))
    yield made
    made.empty()


def ended(*processes: Process) -> None:
    """All end by themselves, and well."""
    for process in processes:
        assert process.wait() == 0, process.text()
        assert "Traceback" not in process.text()
        assert not process.lines("finalizer stays")


@pytest.mark.parametrize("term", [None, 0.0, 1.0], ids=["never", "at once", "after a second"])
def test_deleting_the_installation_leaves_every_workload(
    installation: Installation, stock: Stock, term: float | None
) -> None:
    """The Pod is told to end, at some time, because its namespace or its Deployment is deleted."""
    process = installation.start()
    stock.fill()
    deletion = installation.delete()
    if term is not None:
        stock.until_going("namespace", NAMESPACE)
        time.sleep(term)
        process.send(signal.SIGTERM)
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()


@pytest.mark.parametrize("term", [False, True])
def test_a_standby_does_no_harm_when_the_installation_is_deleted(
    installation: Installation, stock: Stock, term: bool
) -> None:
    processes = installation.start("one"), installation.start("two")
    stock.fill()
    deletion = installation.delete()
    if term:
        stock.until_going("namespace", NAMESPACE)
        for process in processes:
            process.send(signal.SIGTERM)
    ended(*processes)
    installation.gone(deletion)
    stock.assert_untouched()


def test_who_has_just_lost_the_lease_leaves_in_order_too(installation: Installation, stock: Stock) -> None:
    process = installation.start()
    stock.fill(count=4)
    theft = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "leaseTransitions": 7}}
    stock.plane.kubectl("patch", "lease", "trimtab", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(theft))
    process.until("not leading any more")
    deletion = installation.delete()
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
