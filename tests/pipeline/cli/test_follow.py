"""Following an App where nobody answers: whether a controller is there, and how long it is waited."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from played import Apps, lease, said

from pipeline.cli import follow
from pipeline.cli.follow import NoAnswerError, Patience, ask, until_answered


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
        for seconds in range(1, 60):
            if "still" in capsys.readouterr().err:
                break
            _put(apps, lease(renewed=_ago(days=1, seconds=-seconds)))
        apps.say(said(lastHandledSync=apps.annotations()[follow.SYNC_ANNOTATION]))

    with apps.meanwhile(lambda: True, renew):
        until_answered(apps.connection, asked, _patience(apps))


def test_one_that_may_not_see_the_lease_goes_on_waiting(
    apps: Apps, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.cli import controller
    from pipeline.cluster.errors import ApiError

    real = controller.objects.get

    def refuse(connection, resource, namespace, name):  # type: ignore[no-untyped-def]
        if resource.kind == "Lease":
            raise ApiError(403, "leases is forbidden")
        return real(connection, resource, namespace, name)

    monkeypatch.setattr(controller.objects, "get", refuse)
    asked = ask(apps.connection, apps.make())
    with pytest.raises(NoAnswerError, match="whether a controller runs may not be seen: leases is forbidden"):
        until_answered(apps.connection, asked, _patience(apps, 1))
