"""Steps as options: files inside the checkout or another source, and values that were read before."""

import os
from pathlib import Path

import pytest

from renderers.api import RenderError, RenderRequest
from renderers.options import THE_APP, RenderOptions, helm_options, jinja_options
from renderers.settings import HelmStep, JinjaStep, ValuesFrom


@pytest.fixture
def request_(tmp_path: Path) -> RenderRequest:
    """A unit in `root/chart`; `other` is another source."""
    root = tmp_path / "root"
    for file in ("root/chart/values.yaml", "root/shared.yaml", "other/prod.yaml", "secret.yaml"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("a: 1\n")
    return RenderRequest(root=root, folder=root / "chart", name="shop", namespace="default")


def options(request: RenderRequest) -> RenderOptions:
    return RenderOptions(sources={"other": request.root.parent / "other"})


def test_files_are_relative_to_the_unit_and_to_another_source(request_: RenderRequest) -> None:
    step = HelmStep(
        value_files=("values.yaml", "../shared.yaml", "other:prod.yaml", "other:./x/../prod.yaml"),
        set_file=("a.b=../shared.yaml", "c=other:prod.yaml"),
    )
    made = helm_options(step, THE_APP, request_, options(request_))
    names = [os.path.relpath(file, request_.root.parent) for file in made.value_files]
    assert names == ["root/chart/values.yaml", "root/shared.yaml", "other/prod.yaml", "other/prod.yaml"]
    assert [(key, path.name) for key, path in made.set_file] == [("a.b", "shared.yaml"), ("c", "prod.yaml")]


@pytest.mark.parametrize(
    "name",
    ["../../secret.yaml", "/etc/passwd", "other:../secret.yaml", "other:/etc/passwd", "link.yaml", "other:link.yaml"],
)
def test_a_file_that_leads_out_is_refused(request_: RenderRequest, name: str) -> None:
    for folder in (request_.folder, request_.root.parent / "other"):
        (folder / "link.yaml").symlink_to(request_.root.parent / "secret.yaml")
    for step in (HelmStep(value_files=(name,)), HelmStep(set_file=(f"a={name}",))):
        with pytest.raises(RenderError, match="leads out of the checkout"):
            helm_options(step, THE_APP, request_, options(request_))


def test_a_missing_file_is_named_with_where_it_was_looked_for(request_: RenderRequest) -> None:
    for name, place in (("none.yaml", "chart"), ("other:none.yaml", "the source other")):
        with pytest.raises(RenderError, match=f"{name} does not exist") as caught:
            helm_options(HelmStep(value_files=(name,)), THE_APP, request_, options(request_))
        assert place in caught.value.hint


def test_a_source_that_the_app_does_not_have_is_named(request_: RenderRequest) -> None:
    with pytest.raises(RenderError, match="of a source gone, which the App does not have") as caught:
        helm_options(HelmStep(value_files=("gone:x.yaml",)), THE_APP, request_, options(request_))
    assert "other" in caught.value.hint


def test_only_the_app_may_name_another_source(request_: RenderRequest) -> None:
    step = HelmStep(value_files=("other:prod.yaml",))
    with pytest.raises(RenderError, match="only an App may name one"):
        helm_options(step, "chart/.trimtab.yaml", request_, options(request_))


@pytest.mark.parametrize("text", ["a", "=x", ""])
def test_set_file_is_a_key_and_a_path(request_: RenderRequest, text: str) -> None:
    with pytest.raises(RenderError, match="is no KEY=PATH"):
        helm_options(HelmStep(set_file=(text,)), THE_APP, request_, options(request_))


def test_values_that_were_read_are_texts_with_their_place(request_: RenderRequest) -> None:
    there, absent = ValuesFrom("Secret", "v"), ValuesFrom("ConfigMap", "w", optional=True)
    made = helm_options(
        HelmStep(values_from=(there, absent)), THE_APP, request_, RenderOptions(values_from={there: b"a: 1"})
    )
    assert made.value_texts == (("Secret v, key values.yaml", b"a: 1"),)
    with pytest.raises(RenderError, match="Secret v, key values.yaml was not read"):
        helm_options(HelmStep(values_from=(there,)), THE_APP, request_, RenderOptions())


def test_files_of_templates_are_inside_the_checkout(request_: RenderRequest) -> None:
    made = jinja_options(JinjaStep(value_files=("values.yaml",), values={"a": 1}), THE_APP, request_)
    assert ([file.name for file in made.value_files], made.values) == (["values.yaml"], {"a": 1})
    with pytest.raises(RenderError, match="leads out of the checkout"):
        jinja_options(JinjaStep(value_files=("../../secret.yaml",)), THE_APP, request_)
