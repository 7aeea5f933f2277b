"""Removing Trimtab, in every way that people do it, deletes no workload and leaves nothing Terminating (promise 13)."""

import json
import secrets
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
from pipeline.control.resource import CRD_NAME

pytestmark = pytest.mark.slow

#: What Kubernetes puts into every namespace.
KUBERNETES_OWN = ("/kube-root-ca.crt", "/default")
#: What stays with --keep-namespace.
KEPT = (f"Namespace//{NAMESPACE}", f"Secret/{NAMESPACE}/trimtab-git-deploy")


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
        # Namespaces take their time to go: those of an earlier test may still be at it.
        mark = secrets.token_hex(2)
        self.teams = tuple(f"team-{letter}-{mark}" for letter in "abc")
        self.homes, self.made = f"homes-{mark}", f"made-{mark}"
        self.apps: list[dict[str, Any]] = []
        self.before = World(objects={})

    def put(self, name: str, team: str, *items: dict[str, Any]) -> None:
        """One App more."""
        self.add(name, team, *items, home=NAMESPACE)
        self.repository.commit()
        self.put_apps()

    def add(self, name: str, team: str, *items: dict[str, Any], home: str) -> None:
        folder = self.repository.work / name
        folder.mkdir()
        for item in items:
            (folder / f"{item['kind']}-{item['metadata']['name']}.json").write_text(json.dumps(item))
        source = {"git": {"url": self.repository.url, "path": name}}
        self.apps.append(app(name, home, source=source, target={"namespace": team}, interval="1s"))

    def put_apps(self) -> None:
        """Apply all App resources."""
        several = {"apiVersion": "v1", "kind": "List", "items": self.apps}
        self.plane.kubectl("apply", "-f", "-", input=json.dumps(several))

    def until_ready(self) -> None:
        self.plane.kubectl("wait", "--for=condition=Ready", "apps", "--all", "-A", "--timeout=90s")

    def until_reason(self, name: str, reason: str) -> str:
        """Wait until an App is not ready for that reason, and give the message."""
        path = "jsonpath={.status.conditions[?(@.type=='Ready')].reason}"
        until(lambda: self.plane.kubectl("get", "app", name, "-n", NAMESPACE, "-o", path) == reason)
        return self.plane.kubectl("get", "app", name, "-n", NAMESPACE, "-o", path.replace("reason", "message"))

    def finalizers(self, kind: str, name: str) -> str:
        return self.plane.kubectl("get", kind, name, "-o", "jsonpath={.metadata.finalizers}")

    def fill(self, *, count: int = 4, homes: tuple[str, ...] = ()) -> None:
        """Make the repository and the Apps in `homes`, and wait until all are ready."""
        homes = homes or (NAMESPACE, self.teams[0])
        for name in {*self.teams, *homes} - {NAMESPACE}:
            self.plane.kubectl("create", "namespace", name)
        self.plane.kubectl("create", "configmap", "settings", "-n", self.teams[0], "--from-literal=before=us")
        more = {
            1: [manifest("ClusterRole", "reader", "rbac.authorization.k8s.io/v1", rules=[])],
            2: [crd(), manifest("Widget", "one", "example.com/v1", spec={"size": 1})],
            3: [manifest("ConfigMap", "settings", data={"since": "us"})],
            4: [manifest("Namespace", self.made)],
        }
        for number in range(1, count + 1):
            name, home = f"app-{number:02}", homes[number % len(homes)]
            team = self.teams[0 if number == 3 else number // 2 % 3]
            items = [deployment(name), manifest("ConfigMap", name, data={"a": "1"}), *more.get(number, ())]
            self.add(name, team, *items, home=home)
        self.repository.commit()
        self.put_apps()
        self.until_ready()
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
        """Every workload runs as before, and nothing on it says that we were there."""
        until(lambda: not self.look().going(), patience=60)
        now = self.look()
        pods = {key: uid for key, uid in self.before.uids("Pod").items() if f"/{NAMESPACE}/" not in key}
        workloads = {**self.before.owned(), **pods}
        assert len(workloads) > len(self.before.owned())
        assert {key: now.uids().get(key) for key in workloads} == workloads
        assert now.marked() & workloads.keys() == set()

    def assert_nothing_left(self, *kept: str) -> None:
        """Of the installation too, but for what is `kept`."""
        now = self.look()
        own = {key for key in now.objects if "trimtab" in key and not key.endswith(KUBERNETES_OWN)}
        # Kubernetes copies what a Deployment is annotated with to its ReplicaSets, and never takes it off there.
        marked = {key for key in now.marked() if not key.startswith("ReplicaSet/")}
        assert own | marked == set(kept)

    def empty(self) -> None:
        """Take the workloads off again."""
        self.plane.kubectl("delete", "clusterrole/reader", "crd/widgets.example.com", "--ignore-not-found")
        names = *self.teams, self.homes, self.made
        self.plane.kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait=false")


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


@pytest.fixture
def uninstall(plane: harness.ControlPlane) -> Callable[..., harness.Result]:
    return lambda *flags: harness.run_cli("uninstall", *flags, env=plane.env, cwd=None, stdin=None, timeout=120)


def ended(*processes: Process) -> None:
    """All end by themselves, and well."""
    for process in processes:
        assert process.wait() == 0, process.text()
        assert "Traceback" not in process.text()


def test_deleting_the_installation_leaves_every_workload_of_twenty_apps(
    installation: Installation, stock: Stock
) -> None:
    """The Pod is told to end as soon as its namespace goes."""
    process = installation.start()
    stock.fill(count=20)
    deletion = installation.delete()
    stock.until_going("namespace", NAMESPACE)
    process.send(signal.SIGTERM)
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


@pytest.mark.parametrize("after", [0.5, 1.0, None], ids=["half a second", "a second", "never"])
def test_it_is_no_matter_when_the_pod_is_told_to_end(
    installation: Installation, stock: Stock, after: float | None
) -> None:
    process = installation.start()
    stock.fill()
    deletion = installation.delete()
    if after is not None:
        stock.until_going("namespace", NAMESPACE)
        time.sleep(after)
        process.send(signal.SIGTERM)
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


@pytest.mark.parametrize("told", [False, True])
def test_a_standby_does_no_harm_when_the_installation_is_deleted(
    installation: Installation, stock: Stock, told: bool
) -> None:
    processes = installation.start("one"), installation.start("two")
    stock.fill(count=8)
    deletion = installation.delete()
    if told:
        stock.until_going("namespace", NAMESPACE)
        for process in processes:
            process.send(signal.SIGTERM)
    ended(*processes)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_who_has_just_lost_the_lease_leaves_in_order_too(installation: Installation, stock: Stock) -> None:
    process = installation.start()
    stock.fill()
    theft = {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 3600, "leaseTransitions": 7}}
    stock.plane.kubectl("patch", "lease", "trimtab", "-n", NAMESPACE, "--type=merge", "-p", json.dumps(theft))
    process.until("not leading any more")
    deletion = installation.delete()
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_deleting_the_definition_releases_all_apps_and_a_new_one_is_served(
    installation: Installation, stock: Stock
) -> None:
    process = installation.start()
    stock.fill()
    stock.plane.kubectl("delete", "crd", CRD_NAME, "--timeout=60s")
    ended(process)
    stock.assert_untouched()
    # Its Deployment starts it again, and it waits.
    again = installation.start("again")
    again.until("cannot begin")
    installation.apply()
    stock.put_apps()
    stock.until_ready()
    assert set(stock.look().owned()) == set(stock.before.owned())
    installation.gone(installation.delete())
    ended(again)


def test_deleting_the_namespace_of_apps_releases_what_lives_elsewhere(installation: Installation, stock: Stock) -> None:
    """Though the Apps say that what they made is pruned with them."""
    process = installation.start()
    stock.fill(count=6, homes=(stock.homes,))
    stock.plane.kubectl("delete", "namespace", stock.homes, "--timeout=60s")
    stock.assert_untouched()
    assert process.code is None
    released = {line["released_because"] for line in process.lines("deleted")}
    assert released == {f"Namespace {stock.homes} is being deleted"}


def test_one_binding_that_is_deleted_goes_alone_and_is_held_again_when_it_is_back(
    installation: Installation, stock: Stock
) -> None:
    process = installation.start()
    stock.fill()
    stock.plane.kubectl("delete", "clusterrolebinding", "trimtab-cluster-admin", "--timeout=60s")
    assert process.code is None
    name = "app-05"
    stock.put(name, stock.teams[0], deployment(name))
    message = stock.until_reason(name, "ApplyFailed")
    assert "cannot patch" in message
    assert "system:serviceaccount:trimtab-system:trimtab" in message
    installation.apply()
    until(lambda: stock.finalizers("clusterrolebinding", "trimtab-cluster-admin"))
    stock.until_ready()
    stock.before = stock.look()
    deletion = installation.delete()
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


@pytest.mark.parametrize("without", ["", "21-cluster-admin.yaml"])
@pytest.mark.parametrize("last", ["role", "clusterrolebinding", "serviceaccount"])
def test_whatever_is_deleted_alone_keeps_nothing_else_from_being_deleted(
    install: Callable[..., Installation], plane: harness.ControlPlane, without: str, last: str
) -> None:
    installation = install(without=without)
    kinds = ("role", "rolebinding", "clusterrole", "clusterrolebinding")
    process = installation.start()
    process.until("leading")
    for kind in (*(kind for kind in kinds if kind != last), last):
        installation.apply()
        plane.kubectl("delete", kind, "trimtab", "-n", NAMESPACE, "--timeout=60s")
    installation.gone(installation.delete())
    process.send(signal.SIGTERM)
    ended(process)


def test_deleting_the_deployment_lets_go_of_the_account_and_keeps_the_apps(
    installation: Installation, stock: Stock
) -> None:
    process = installation.start()
    stock.fill()
    stock.plane.kubectl("delete", "deployment", "trimtab", "-n", NAMESPACE)
    process.send(signal.SIGTERM)
    ended(process)
    now = stock.look()
    assert now.owned() == stock.before.owned()
    assert now.going() == set()
    assert now.held() == set()
    stock.plane.kubectl("delete", "serviceaccount", "trimtab", "-n", NAMESPACE, "--timeout=60s")
    # Back with all its files it goes on with the same Apps, and leaves in order after that.
    installation.apply()
    again = installation.start("again")
    again.until("leading")
    deletion = installation.delete()
    ended(again)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_scaled_to_nothing_and_back_nothing_is_let_go(installation: Installation, stock: Stock) -> None:
    process = installation.start()
    stock.fill()
    held = stock.look().held()
    assert len(held) == 6
    stock.plane.kubectl("scale", "deployment", "trimtab", "-n", NAMESPACE, "--replicas=0")
    process.send(signal.SIGTERM)
    ended(process)
    now = stock.look()
    assert (now.held(), now.owned(), now.going()) == (held, stock.before.owned(), set())
    stock.plane.kubectl("scale", "deployment", "trimtab", "-n", NAMESPACE, "--replicas=1")
    again = installation.start("again")
    again.until("leading")
    deletion = installation.delete()
    ended(again)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_without_cluster_admin_what_may_be_released_is(
    install: Callable[..., Installation], plane: harness.ControlPlane, stock: Stock
) -> None:
    installation = install(without="21-cluster-admin.yaml")
    for team in stock.teams:
        plane.kubectl("create", "namespace", team)
        account = f"--serviceaccount={NAMESPACE}:trimtab"
        plane.kubectl("create", "rolebinding", "deployer", "--clusterrole=admin", account, "-n", team)
    process = installation.start()
    for number in range(1, 6):
        name = f"app-{number:02}"
        stock.put(name, stock.teams[number % 3], deployment(name), manifest("ConfigMap", name, data={"a": "1"}))
    stock.until_ready()
    stock.before = stock.look()
    deletion = installation.delete()
    ended(process)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_a_dead_controller_lets_the_deletion_wait_and_the_next_one_finishes_it(
    installation: Installation, stock: Stock
) -> None:
    process = installation.start()
    stock.fill()
    successor = installation.prepared("again")
    process.kill()
    deletion = installation.delete()
    until(lambda: sum(key.startswith("App/") for key in stock.look().going()) == 4)
    assert stock.look().owned() == stock.before.owned()
    again = successor()
    ended(again)
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


def test_a_dead_controller_is_not_needed_where_uninstall_is_forced(
    installation: Installation, stock: Stock, uninstall: Callable[..., harness.Result]
) -> None:
    process = installation.start()
    stock.fill()
    process.kill()
    deletion = installation.delete()
    until(lambda: sum(key.startswith("App/") for key in stock.look().going()) == 4)
    result = uninstall("--force")
    assert result.code == 0, result.err
    installation.gone(deletion)
    stock.assert_untouched()
    stock.assert_nothing_left()


@pytest.mark.parametrize("keep", [False, True])
def test_uninstall_lets_the_controller_release_and_takes_all_away(
    installation: Installation, stock: Stock, uninstall: Callable[..., harness.Result], keep: bool
) -> None:
    process = installation.start()
    stock.fill()
    result = uninstall(*(["--keep-namespace"] if keep else []))
    assert result.code == 0, result.err
    assert "released 4 Apps" in result.out
    ended(process)
    stock.assert_untouched()
    stock.assert_nothing_left(*(KEPT if keep else ()))


def test_uninstall_needs_a_controller_or_force(
    installation: Installation, stock: Stock, uninstall: Callable[..., harness.Result]
) -> None:
    process = installation.start()
    stock.fill()
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    result = uninstall()
    assert (result.code, "--force" in result.err) == (5, True)
    assert stock.look().owned() == stock.before.owned()
    result = uninstall("--force")
    assert result.code == 0, result.err
    stock.assert_untouched()


def test_uninstall_refuses_where_another_installation_needs_the_definition(
    installation: Installation, plane: harness.ControlPlane, uninstall: Callable[..., harness.Result]
) -> None:
    plane.kubectl("create", "namespace", "other")
    other = manifest("Deployment", "trimtab-two", "apps/v1", spec=deployment("trimtab-two")["spec"])
    other["metadata"]["labels"] = {"app.kubernetes.io/name": "trimtab", "app.kubernetes.io/instance": "two"}
    plane.kubectl("apply", "-n", "other", "-f", "-", input=json.dumps(other))
    try:
        for flags in ((), ("--force",)):
            result = uninstall(*flags)
            assert (result.code, "namespace other" in result.err) == (2, True)
    finally:
        plane.kubectl("delete", "deployment", "trimtab-two", "-n", "other")
        plane.kubectl("delete", "namespace", "other", "--wait=false")
