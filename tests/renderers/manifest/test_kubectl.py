"""The real kubectl: the table of truth still holds, and it reads what we write."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plaindata import DATA, as_floats
from yamlcases import BASE
from yamltruth import ask, load, same, whole

from renderers.manifest import dump_all


def test_the_table_of_truth_holds_for_the_kubectl_at_hand() -> None:
    # A fourth of it: `yamltruth.py --update` asks about all.
    cases = [(group, text, found) for group, row in load().items() for text, found in row.items()][::4]
    outcomes = ask([whole(group, text) for group, text, _ in cases])
    assert [case for case, outcome in zip(cases, outcomes, strict=True) if not same(outcome, case[2])] == []


def test_what_the_table_holds_is_the_same_for_kubectl_after_a_dump() -> None:
    objects = [data for row in load().values() for found in row.values() for data in found or () if "items" not in data]
    (theirs,) = ask([dump_all(objects).encode()])
    assert same(theirs, objects)


def test_every_text_is_the_same_for_kubectl_after_a_dump_wherever_it_stands() -> None:
    texts = [text for row in load().values() for text in row if text.isprintable() or "\n" in text]
    data = {
        **BASE,
        "list": texts,
        "keys": {text: [text] for text in texts},
        "nested": [[[text], {"a": text, "b": [{"c": text}]}] for text in texts],
    }
    (theirs,) = ask([dump_all([data]).encode("utf-8", "surrogatepass")])
    assert same(theirs, [data])


@settings(deadline=None, database=None, max_examples=5, suppress_health_check=list(HealthCheck))
@given(st.lists(DATA, min_size=40, max_size=80))
def test_drawn_data_is_the_same_for_kubectl_after_a_dump(drawn: list[Any]) -> None:
    objects = [{**BASE, "x": data} for data in drawn]
    (theirs,) = ask([dump_all(objects).encode()])
    assert as_floats(theirs) == as_floats(objects)
