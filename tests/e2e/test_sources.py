"""Apps of charts, of several sources, and of what ConfigMaps and Secrets give: each followed, each mistake told."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import registry as registries
from chartrepo import ChartServer, package, run_helm, write_chart
from control import Apps, Controller, Repository
from githttp import basic
from waiting import until

Start = Callable[..., Controller]
Make = Callable[..., dict[str, Any]]


class Charts:
    """A chart `app` that the test publishes, in a chart repository over HTTP."""

    def __init__(self, folder: Path) -> None:
        self.chart = write_chart(folder / "source", "app")
        self.folder = folder / "charts"
        self.folder.mkdir()
        self.server = ChartServer(self.folder)

    def publish(self, version: str) -> Path:
        made = package(self.chart, self.folder, version)
        run_helm("repo", "index", self.folder)
        return made

    def drop(self, version: str) -> None:
        (self.folder / f"app-{version}.tgz").unlink()
        run_helm("repo", "index", self.folder)

    def source(self, version: str = "~1.2", **more: str) -> dict[str, str]:
        return {"repo": self.server.url, "name": "app", "version": version, **more}


@pytest.fixture
def charts(tmp_path: Path) -> Iterator[Charts]:
    """The chart repository has version 1.2.0."""
    made = Charts(tmp_path)
    with made.server.running():
        made.publish("1.2.0")
        yield made


class Live:
    """The ConfigMap of the chart in the cluster, and what the test puts beside it."""

    def __init__(self, apps: Apps) -> None:
        self.apps = apps

    def until(self, key: str, value: str, name: str = "shop-config") -> None:
        path = ("-o", f"jsonpath={{.data.{key}}}", "--ignore-not-found")
        self.wait(lambda: self.apps.kubectl("get", "configmap", name, "-n", self.apps.namespace, *path) == value)

    def wait(self, right: Callable[[], object]) -> None:
        try:
            until(right)
        except AssertionError as error:
            raise AssertionError(f"it does not come right: {self.apps.status('shop')}") from error

    def put(self, kind: str, name: str, data: dict[str, str]) -> None:
        if kind == "Secret":
            data = {key: b64encode(value.encode()).decode() for key, value in data.items()}
        where = {"name": name, "namespace": self.apps.namespace}
        body = {"apiVersion": "v1", "kind": kind, "metadata": where, "data": data}
        self.apps.kubectl("apply", "--server-side", "-f", "-", input=json.dumps(body))

    def app(self, source: dict[str, str], *render: dict[str, Any], **spec: Any) -> None:
        self.apps.put("shop", source, target={"namespace": self.apps.namespace}, render=list(render), **spec)

    def until_version(self, version: str) -> dict[str, Any]:
        self.wait(lambda: self.apps.status("shop").get("shortCommit") == version)
        self.apps.until_ready("shop")
        return self.apps.status("shop")


@pytest.fixture
def live(apps: Apps) -> Live:
    return Live(apps)


def test_a_chart_of_a_repository_is_followed_within_its_range(charts: Charts, live: Live, start: Start) -> None:
    start()
    live.app(charts.source())
    status = live.until_version("1.2.0")
    assert status["ref"] == "chart app ~1.2 (1.2.0)"
    assert status["commit"].startswith("1.2.0@sha256:")
    charts.publish("2.0.0")
    charts.publish("1.2.7")
    live.until_version("1.2.7")
    live.until("version", "1.2.7")


def test_a_chart_of_a_registry_is_followed_within_its_range(
    charts: Charts, live: Live, start: Start, tmp_path: Path
) -> None:
    with registries.running(tmp_path / "registry") as registry:
        url = registry.push(charts.publish("1.2.0"))
        start()
        live.app({"oci": f"{url}/app", "version": "~1.2"})
        live.until_version("1.2.0")
        registry.push(charts.publish("1.2.7"))
        live.until_version("1.2.7")
        live.until("version", "1.2.7")


def test_an_app_goes_back_to_an_earlier_version_of_its_chart(
    charts: Charts, live: Live, start: Start, trimtab: Callable[..., Any]
) -> None:
    start()
    live.app(charts.source())
    live.until_version("1.2.0")
    charts.publish("1.2.7")
    live.until_version("1.2.7")
    done = trimtab("rollback", "shop", "1.2.0", "-n", live.apps.namespace)
    assert done.code == 0, done.err
    assert "rolled back to 1.2.0; 1.2.7 is not taken again" in live.apps.condition("shop")["message"]
    live.until("version", "1.2.0")


def test_a_version_that_vanished_is_told_and_the_last_state_stays(charts: Charts, live: Live, start: Start) -> None:
    start()
    live.app(charts.source())
    live.until_version("1.2.0")
    charts.publish("3.0.0")
    charts.drop("1.2.0")
    message = live.apps.until_condition("shop", lambda found: found.get("status") == "False", "SourceReady")["message"]
    assert "~1.2" in message
    live.until("version", "1.2.0")
    charts.publish("1.2.1")
    live.until_version("1.2.1")


def test_a_repository_that_refuses_the_password_is_told_and_the_right_one_taken_up(
    charts: Charts, live: Live, start: Start
) -> None:
    charts.server.accepted = {basic("user", "right")}
    start()
    live.put("Secret", "opens", {"username": "user", "password": "wr0ng-pass"})
    live.app(charts.source(secret="opens"))
    message = live.apps.until_reason("shop", "AuthenticationFailed")["message"]
    assert "wr0ng-pass" not in message
    live.put("Secret", "opens", {"username": "user", "password": "right"})
    live.until_version("1.2.0")


def test_values_come_from_another_source_and_are_followed_there(
    charts: Charts, live: Live, start: Start, repository: Repository
) -> None:
    (repository.work / "prod").mkdir()
    values = repository.work / "prod" / "values.yaml"
    values.write_text("greeting: one\n")
    repository.commit()
    start()
    sources = [{"name": "values", "git": {"url": repository.url, "path": "prod"}}]
    live.app(charts.source(), {"helm": {"valueFiles": ["values:values.yaml"]}}, sources=sources)
    live.until("greeting", "one")
    values.write_text("greeting: two\n")
    commit = repository.commit()
    live.until("greeting", "two")
    live.wait(lambda: [each["id"] for each in live.apps.status("shop").get("sources", [])] == [commit])
    assert live.apps.status("shop")["sources"][0]["name"] == "values"


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_values_of_the_cluster_are_taken_and_taken_up_anew(charts: Charts, live: Live, start: Start, kind: str) -> None:
    controller = start("--log-level=debug")
    live.app(charts.source(), {"helm": {"valuesFrom": [{"kind": kind, "name": "values"}]}})
    message = live.apps.until_reason("shop", "ValuesNotFound")["message"]
    assert f"{kind} {live.apps.namespace}/values" in message
    live.put(kind, "values", {"other": "x"})
    live.apps.until_condition("shop", lambda found: "has no key values.yaml" in found.get("message", ""))
    live.put(kind, "values", {"values.yaml": "greeting: h1dden-one\n"})
    live.until("greeting", "h1dden-one")
    live.put(kind, "values", {"values.yaml": "greeting: h1dden-two\n"})
    live.until("greeting", "h1dden-two")
    live.apps.until_ready("shop")
    assert "h1dden" not in controller.text()


def test_optional_values_may_be_missing(charts: Charts, live: Live, start: Start) -> None:
    start()
    live.app(charts.source(), {"helm": {"valuesFrom": [{"kind": "Secret", "name": "values", "optional": True}]}})
    live.until_version("1.2.0")
    live.until("greeting", "hello")


def test_a_remote_base_is_read_where_it_is_allowed_and_followed(
    live: Live, start: Start, repository: Repository, make_map: Make, tmp_path: Path
) -> None:
    base = Repository(tmp_path / "git", "base")
    (base.work / "deploy").mkdir()
    (base.work / "deploy" / "kustomization.yaml").write_text("resources: [one.json]\n")
    base.commit(make_map("one", a="1"), folder="deploy")
    (repository.work / "kustomization.yaml").write_text(f"resources: ['{base.url}//deploy?ref=main']\n")
    repository.commit()
    start()
    live.app({"url": repository.url})
    message = live.apps.until_reason("shop", "RenderFailed")["message"]
    assert base.url in message
    assert "allowRemote" in message
    live.app({"url": repository.url}, {"kustomize": {"allowRemote": [base.url]}})
    live.until("a", "1", "one")
    commit = base.commit(make_map("one", a="2"), folder="deploy")
    live.until("a", "2", "one")
    live.wait(lambda: [each["id"] for each in live.apps.status("shop").get("sources", [])] == [commit])
