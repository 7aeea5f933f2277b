"""Loader and dumper beside the committed table of what kubectl reads: see tests/support/yamltruth.py. No kubectl."""

from typing import Any

import pytest
from yamlcases import cases
from yamltruth import Outcome, load, same, whole

from renderers.manifest import Manifest, ManifestError, check_metadata, dump, dump_all, load_text, parse_documents

TABLE = load()
GROUPS = ("values", "keys", "bodies", "metadata", "texts")

#: Where ours differs from kubectl, and why.
REFUSED = {
    "a document without apiVersion or kind is no object; kubectl says so as well when it is to send one": [
        ("texts", "kind: Probe\n"),
    ],
    "what stands behind the end of a document would be lost without a word": [
        ("bodies", "%YAML 1.1\n"),
        ("texts", "{apiVersion: v1, kind: Probe, metadata: {name: probe}}" * 2),
        ("texts", "# c\n" + '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"probe"}}' * 2),
        (
            "texts",
            "apiVersion: v1\nkind: Probe\nmetadata: {name: probe}\n---\n"
            + '{"apiVersion":"v1","kind":"Probe","metadata":{"name":"probe"}}' * 2,
        ),
    ],
    "kubectl takes an invisible mark at the beginning of a line for a part of the key": [
        ("bodies", "x: 1\n\ufeffy: 2\n")
    ],
    "libyaml allows no , [ ] { } in a tag; kubectl takes the whole word for one and the value for empty": [
        ("values", "!,"),
        ("values", "![*"),
    ],
}
ACCEPTED = {
    "YAML 1.2 has the escape, as JSON has": [
        ("values", '"a\\/b"'),
        ("texts", '# c\n{"apiVersion":"v1","kind":"Probe","metadata":{"name":"probe"},"x":"\\/"}'),
    ],
    "a question mark inside a word can only be meant as one, as in a URL": [
        ("values", "[a?]"),
        ("values", "[a?b]"),
        ("values", "{a?: b}"),
    ],
}  # fmt: skip
DIFFERENT = [case for listed in (REFUSED, ACCEPTED) for them in listed.values() for case in them]


def check(file: bytes) -> tuple[Manifest, ...]:
    manifests, _ = parse_documents(file, file="f.yaml", unit=".")
    for manifest in manifests:
        check_metadata(manifest)
    return manifests


def read(group: str, text: str) -> Outcome:
    try:
        return [manifest.data for manifest in check(whole(group, text))]
    except ManifestError:
        return None


def agreed(group: str) -> list[tuple[str, list[Any]]]:
    """What both read of a group."""
    return [
        (text, found) for text, found in TABLE[group].items() if found is not None and (group, text) not in DIFFERENT
    ]


def test_the_table_is_about_the_texts_that_are_made_for_it() -> None:
    assert {group: list(row) for group, row in TABLE.items()} == cases()


@pytest.mark.parametrize("group", GROUPS)
def test_a_text_is_read_as_kubectl_reads_it(group: str) -> None:
    ours = {text: read(group, text) for text in TABLE[group] if (group, text) not in DIFFERENT}
    assert [
        (text, found, TABLE[group][text]) for text, found in ours.items() if not same(found, TABLE[group][text])
    ] == []


@pytest.mark.parametrize(("group", "text"), [case for them in REFUSED.values() for case in them])
def test_what_is_refused_on_purpose(group: str, text: str) -> None:
    assert TABLE[group][text] is not None
    assert read(group, text) is None


@pytest.mark.parametrize(("group", "text"), [case for them in ACCEPTED.values() for case in them])
def test_what_is_read_on_purpose(group: str, text: str) -> None:
    assert TABLE[group][text] is None
    assert read(group, text) is not None


@pytest.mark.parametrize("group", GROUPS)
def test_every_refusal_has_a_place_and_a_hint(group: str) -> None:
    for text, found in TABLE[group].items():
        if found is None and (group, text) not in DIFFERENT:
            with pytest.raises(ManifestError) as caught:
                check(whole(group, text))
            assert caught.value.where.startswith("f.yaml:"), text
            assert caught.value.hint, text


@pytest.mark.parametrize("group", GROUPS)
def test_what_kubectl_reads_is_the_same_after_a_dump(group: str) -> None:
    for text, found in agreed(group):
        again = [document.data for document in load_text(dump_all(found), file="f.yaml").documents]
        assert same(again, found), text


def test_what_is_dumped_without_quotes_is_the_same_string_for_kubectl() -> None:
    bare = {text: found for text, found in agreed("values") if dump(text) == f"{text}\n"}
    assert len(bare) > 300
    assert [text for text, (data,) in bare.items() if data["x"] != text] == []


def test_what_is_dumped_as_a_key_without_quotes_is_the_same_key_for_kubectl() -> None:
    bare = {text: found for text, found in agreed("keys") if dump({text: "v"}) == f"{text}: v\n"}
    assert len(bare) > 200
    assert [text for text, (data,) in bare.items() if data["x"] != {text: "v"}] == []
