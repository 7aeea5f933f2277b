"""Following an App where nobody answers: whether a controller is there, and how long it is waited."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from played import Apps, lease, said

from pipeline.app import App, Metadata
from pipeline.cli import controller, follow
from pipeline.cli.controller import Work
from pipeline.cli.follow import NoAnswerError, Patience, ask, until_answered
from pipeline.cli.output import Shown
from pipeline.cluster.errors import ApiError
from pipeline.inventory.record import Outcome, Record
from pipeline.inventory.store import Store


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person waits for seconds for."""
    monkeypatch.setattr(follow, "_SILENCE", 0.2)
    monkeypatch.setattr(follow, "_TICK", 0.05)


def _ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat().replace("+00:00", "Z")


def _put(apps: Apps, spec: dict[str, object]) -> None:
    apps.plane.kubectl("apply", "-n", apps.namespace, "-f", "-", input=json.dumps(spec))


def _patience(apps: Apps, seconds: float = 600) -> Patience:
    return Patience(seconds, controller=apps.namespace)


def test_where_no_controller_ever_was_nothing_is_waited_for(apps: Apps) -> None:
    asked = ask(apps.connection, apps.make())
    with pytest.raises(NoAnswerError, match=f"there is no Lease trimtab in namespace {apps.namespace}") as raised:
        until_answered(apps.connection, asked, _patience(apps))
    assert raised.value.exit_code == 5
    assert f"trimtab status shop -n {apps.namespace}" in raised.value.hint


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (lease(renewed=_ago(hours=1)), "no controller runs: trimtab-0_abcd holds the Lease"),
        (lease(""), "no controller runs: nobody holds the Lease"),
    ],
)
def test_a_lease_that_is_over_is_no_controller(apps: Apps, spec: dict[str, object], words: str) -> None:
    _put(apps, spec)
    asked = ask(apps.connection, apps.make())
    with pytest.raises(NoAnswerError, match=words):
        until_answered(apps.connection, asked, _patience(apps))


def test_a_controller_that_leads_is_waited_for_until_the_timeout(
    apps: Apps, capsys: pytest.CaptureFixture[str]
) -> None:
    _put(apps, lease(seconds=3600))
    asked = ask(apps.connection, apps.make())
    with pytest.raises(NoAnswerError, match=r"did not answer within 1 s; trimtab-0_abcd holds the Lease"):
        until_answered(apps.connection, asked, _patience(apps, 1))
    assert "note: no answer yet; trimtab-0_abcd holds the Lease" in capsys.readouterr().err


def test_a_lease_that_is_renewed_is_alive_whatever_time_its_holder_has(
    apps: Apps, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the controller is a day behind."""
    monkeypatch.setattr(follow, "_SILENCE", 3)
    _put(apps, lease(renewed=_ago(days=1)))
    asked = ask(apps.connection, apps.make())

    def renew() -> None:
        seconds = 0
        while "note: no answer yet" not in capsys.readouterr().err:
            seconds += 1
            _put(apps, lease(renewed=_ago(days=1, seconds=-seconds)))
        apps.say(said(lastHandledSync=apps.annotations()[follow.SYNC_ANNOTATION]))

    with apps.meanwhile(lambda: True, renew):
        until_answered(apps.connection, asked, _patience(apps))


def test_one_that_may_not_see_the_lease_goes_on_waiting(
    apps: Apps, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = controller.objects.get

    def refuse(connection, resource, namespace, name):  # type: ignore[no-untyped-def]
        if resource.kind == "Lease":
            raise ApiError(403, "leases is forbidden")
        return real(connection, resource, namespace, name)

    monkeypatch.setattr(controller.objects, "get", refuse)
    asked = ask(apps.connection, apps.make())
    with pytest.raises(NoAnswerError, match="whether a controller runs may not be seen: leases is forbidden"):
        until_answered(apps.connection, asked, _patience(apps, 1))


def test_a_terminal_is_told_which_commit_is_being_synced(apps: Apps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller writes the inventory before it acts, and says there that it is not done."""
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes a terminal of standard error
    resource = apps.make()
    resource["status"] = {"inventory": f"{apps.namespace}/head"}
    steps: list[str] = []
    monkeypatch.setattr(Shown, "step", lambda _, name: steps.append(name))
    work = Work(apps.connection, resource, Shown(), quiet=False)
    work.look()
    assert steps == ["waiting for the controller"]
    app = App(Metadata("shop", apps.namespace))
    store = Store(apps.connection, apps.namespace)
    under_way = Outcome(message="a sync was cut short")
    store.save(app, store.load(app), Record(str(app), "owner", "cluster", commit="c" * 40, outcome=under_way))
    work.look()
    assert steps[1:] == ["syncing cccccccccccc"]
