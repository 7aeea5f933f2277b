"""The metrics: Prometheus' format and naming rules, and that each one says what it should."""

import re
from collections import Counter
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.observe.metrics import REFERENCE, Metrics


def made(requests: Mapping[str, int] | None = None) -> Metrics:
    return Metrics(version="1.2.3", requests=lambda: requests or {})


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample as Prometheus reads it: `name{label=value,…}`."""
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


def used(metrics: Metrics) -> None:
    """Everything that can be told, told once."""
    metrics.leads(leading=True)
    metrics.app_ready("ns", "one", ready=True)
    metrics.app_suspended("ns", "one", suspended=False)
    metrics.synced("ns", "one", result="Succeeded", objects=7, held=2)
    metrics.step_took("render", 0.3)
    metrics.lagged(4)
    metrics.failed("SourceUnreachable")
    metrics.rendered("ok")
    metrics.polled("new")
    metrics.queue(lambda: 3)
    metrics.waited(0.2)


def test_what_was_told_is_what_prometheus_reads() -> None:
    requests = Counter({"APPLY": 5})
    metrics = made(requests)
    used(metrics)
    requests["LIST"] += 2
    with metrics.working():
        found = samples(metrics)
    assert samples(metrics)["trimtab_workers_busy{}"] == 0
    expected = {
        "trimtab_build_info{version=1.2.3}": 1,
        "trimtab_leader{}": 1,
        "trimtab_leader_changes_total{}": 1,
        "trimtab_app_ready{name=one,namespace=ns}": 1,
        "trimtab_app_suspended{name=one,namespace=ns}": 0,
        "trimtab_app_objects{name=one,namespace=ns}": 7,
        "trimtab_app_held_objects{name=one,namespace=ns}": 2,
        "trimtab_syncs_total{result=Succeeded}": 1,
        "trimtab_sync_duration_seconds_sum{step=render}": 0.3,
        "trimtab_sync_duration_seconds_bucket{le=0.25,step=render}": 0,
        "trimtab_sync_duration_seconds_bucket{le=0.5,step=render}": 1,
        "trimtab_commit_lag_seconds_bucket{le=5.0}": 1,
        "trimtab_errors_total{reason=SourceUnreachable}": 1,
        "trimtab_renders_total{result=ok}": 1,
        "trimtab_source_polls_total{result=new}": 1,
        "trimtab_queue_depth{}": 3,
        "trimtab_queue_wait_seconds_count{}": 1,
        "trimtab_workers_busy{}": 1,
        "trimtab_api_requests_total{verb=APPLY}": 5,
        "trimtab_api_requests_total{verb=LIST}": 2,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_the_reference_is_exactly_what_is_served() -> None:
    metrics = made({"GET": 1})
    used(metrics)
    served = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        labels = {key for sample in family.samples for key in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        served[name] = (family.type, labels, family.documentation)
    assert served == {metric.name: (metric.kind, set(metric.labels), metric.help) for metric in REFERENCE}


def test_names_follow_prometheus_rules() -> None:
    # prometheus.io/docs/practices/naming: base units, their plural as suffix, _total for what only grows.
    for metric in REFERENCE:
        assert re.fullmatch(r"trimtab_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert metric.kind != "histogram" or metric.name.endswith("_seconds")
        assert not re.search(r"_(gauge|counter|histogram|bucket|sum|count|created|ms|minutes)(_|$)", metric.name)
        assert metric.help.endswith(".")
        assert all(re.fullmatch(r"[a-z]+", label) and label not in ("le", "job", "instance") for label in metric.labels)
    assert len({metric.name for metric in REFERENCE}) == len(REFERENCE)


def test_a_deleted_app_leaves_no_series() -> None:
    metrics = made()
    used(metrics)
    metrics.app_ready("ns", "two", ready=False)
    metrics.forget_app("ns", "one")
    metrics.forget_app("ns", "never-seen")
    assert not [name for name in samples(metrics) if "name=one" in name]
    assert samples(metrics)["trimtab_app_ready{name=two,namespace=ns}"] == 0
    metrics.forget_apps()
    assert not [name for name in samples(metrics) if "name=" in name]


@pytest.mark.parametrize("word", ["", "admission webhook said: no", "x" * 200, "Ünglück", 'A"}\n'])
def test_a_reason_that_is_no_word_is_other(word: str) -> None:
    metrics = made()
    metrics.failed(word)
    assert samples(metrics)["trimtab_errors_total{reason=Other}"] == 1


def test_the_number_of_reasons_is_limited() -> None:
    metrics = made()
    for first in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        for second in "abcdefghij":
            metrics.failed(first + second)
    assert len([name for name in samples(metrics) if name.startswith("trimtab_errors_total")]) <= 101


def test_a_commit_from_the_future_has_no_negative_lag() -> None:
    metrics = made()
    metrics.lagged(-5)
    assert samples(metrics)["trimtab_commit_lag_seconds_sum{}"] == 0


def test_two_processes_of_a_test_do_not_share_their_metrics() -> None:
    one, two = made(), made()
    one.failed("Failed")
    assert "trimtab_errors_total{reason=Failed}" not in samples(two)
