"""The Jinja renderer: what templates see and can do, and that they can do nothing else."""

from pathlib import Path
from typing import Any

import pytest

from renderers.api import JinjaOptions, Limits, Rendered, RenderError
from renderers.jinja import template
from renderers.manifest import ManifestError
from renderers.unit import render_unit

MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: {value}}}\n"


def render(repository: Any, folder: str = ".", values: dict[str, Any] | None = None, **changes: Any) -> Rendered:
    """Render the folder with all its files, as a walk finds them; files of values begin with `values`."""
    place = repository.root / folder
    files = tuple(sorted(path for path in place.iterdir() if path.is_file()))
    given = tuple(path for path in files if path.name.startswith("values"))
    options = JinjaOptions(given, values or {})
    return render_unit(template, repository.request(folder, files=files, jinja=(options,), **changes))


def value(repository: Any, expression: str, **changes: Any) -> Any:
    """What an expression comes to in a manifest's data, as JSON."""
    text = MAP.format(name="one", value="{{ (" + expression + ") | to_json }}")
    return render(repository.write({"one.yaml.j2": text}), **changes).manifests[0].data["data"]["value"]


def failing(repository: Any, text: str, **changes: Any) -> RenderError:
    with pytest.raises(RenderError) as caught:
        render(repository.write({"one.yaml.j2": text}), **changes)
    return caught.value


def test_templates_and_plain_files_in_the_order_of_their_names(repository) -> None:
    repository.write(
        {
            "b.yaml.j2": MAP.format(name="b", value="{{ color }}"),
            "a.yaml": MAP.format(name="a", value="{{ color }}").replace("{{ color }}", "'{{ color }}'"),
            "c.json.j2": '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}',
            "d.yml.j2": MAP.format(name="d", value="{{ app.name }}-{{ app.namespace }}"),
            "values.yaml": "color: red\n",
        }
    )
    rendered = render(repository)
    assert [(m.id.name, str(m.origin), m.data.get("data")) for m in rendered.manifests] == [
        ("a", "a.yaml:1", {"value": "{{ color }}"}),
        ("b", "b.yaml.j2", {"value": "red"}),
        ("c", "c.json.j2", None),
        ("d", "d.yml.j2", {"value": "demo-shop"}),
    ]


def test_later_values_win_and_maps_are_merged(repository) -> None:
    repository.write(
        {"values-1.yaml": "image: {name: nginx, tag: '1'}\ncount: 1\n", "values-2.yaml": "image: {tag: '2'}\n"}
    )
    got = value(repository, "[image.name, image.tag, image.pull, count]", values={"image": {"pull": "Always"}})
    assert got == ["nginx", "2", "Always", 1]


def test_a_loop_gives_several_documents(repository) -> None:
    text = "{% for n in range(3) %}\n---\n" + MAP.format(name="m{{ n }}", value="x") + "{% endfor %}\n"
    names = [m.id.name for m in render(repository.write({"all.yaml.j2": text})).manifests]
    assert names == ["m0", "m1", "m2"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{'a': [1, 'y']} | to_yaml", 'a:\n- 1\n- "y"'),
        ("'a: on' | from_yaml", {"a": True}),
        ("'[1, 2]' | from_json", [1, 2]),
        ("'häßlich' | b64encode | b64decode", "häßlich"),
        ("'abc' | sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("'say \"x\"' | quote", '"say \\"x\\""'),
        ("'a-b' | regex_replace('-', '.')", "a.b"),
        ("'a\nb' | indent(2)", "a\n  b"),
        ("missing | default('there')", "there"),
        ("'<&>' | to_json", '"<&>"'),
        ("capabilities.kubeVersion", "v1.36.3"),
    ],
)
def test_filters(repository, expression: str, expected: Any) -> None:
    assert value(repository, expression.replace("\n", "\\n")) == expected


@pytest.mark.parametrize("data", [None, "y", "08", 1.5, {"a": {"b": []}}, ["x: y", "- z", "#", ""]])
def test_to_yaml_is_read_back_as_it_was(repository, data: Any) -> None:

    text = (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata:\n  {{ {'value': data} | to_yaml | indent(2) }}\n"
    )
    rendered = render(repository.write({"one.yaml.j2": text}), values={"data": data})
    assert rendered.manifests[0].data["data"] == {"value": data}


def test_includes_and_macros_from_anywhere_in_the_checkout(repository) -> None:
    repository.write(
        {
            "lib/macros.j2": "{% macro labels(n) %}{app: {{ n }}}{% endmacro %}{% include 'more/x.j2' %}",
            "lib/more/x.j2": "",
            "app/_part.yaml.j2": "value: {{ color }}",
            "app/web.yaml.j2": "{% from '/lib/macros.j2' import labels %}{% import '../lib/macros.j2' as m %}\n"
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, labels: {{ labels('a') }}}\n"
            "data: {% raw %}{{% endraw %}{% include '_part.yaml.j2' %}}\n",
        }
    )
    rendered = render(repository, "app", {"color": "red"})
    assert [(m.id.name, m.data["data"]) for m in rendered.manifests] == [("web", {"value": "red"})]
    assert rendered.units[0].inputs == ("app/_part.yaml.j2", "app/web.yaml.j2", "lib/macros.j2", "lib/more/x.j2")


def test_an_include_through_a_link_in_the_checkout(repository) -> None:
    repository.write({"lib/red.j2": "value: 1", "app/x.yaml.j2": MAP.format(name="x", value="1").replace(
        "{value: 1}", "{ {% include 'shared/red.j2' %} }")})  # fmt: skip
    (repository.root / "app" / "shared").symlink_to("../lib")
    rendered = render(repository, "app")
    assert rendered.manifests[0].data["data"] == {"value": 1}
    assert rendered.units[0].inputs == ("app/x.yaml.j2", "lib/red.j2")


def test_an_include_that_only_running_tells_is_found_too(repository) -> None:
    repository.write({"lib/red.j2": "value: 1", "app/x.yaml.j2": "{% set n = '/lib/' ~ color ~ '.j2' %}\n" + MAP.format(
        name="x", value="1").replace("{value: 1}", "{ {% include n %} }")})  # fmt: skip
    assert render(repository, "app", {"color": "red"}).manifests[0].data["data"] == {"value": 1}


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("a: {{ nothing }}\n", "one.yaml.j2:1", "'nothing' is undefined"),
        ("a: 1\nb: {{ app.nothing }}\n", "one.yaml.j2:2", "no attribute 'nothing'"),
        ("a: 1\n{% for x in %}\n", "one.yaml.j2:2", "no Jinja template"),
        ("a: 1\n\n{% if true %}\n", "one.yaml.j2:3", "no Jinja template"),
        ("a: 1\n{{ 1 / 0 }}", "one.yaml.j2:2", "division"),
        ("{% include 'gone.j2' %}", "one.yaml.j2:1", "gone.j2 is not there"),
        ("a: 1\n{{ missing | required('give missing') }}", "one.yaml.j2:2", "give missing"),
        ("{% include 'one.yaml.j2' %}", "one.yaml.j2:1", "without end"),
        ("{% set a = 1 %}\n{{ a | nofilter }}", "one.yaml.j2:2", "nofilter"),
        ("{{ missing | to_yaml }}", "one.yaml.j2:1", "'missing' is undefined"),
    ],
)
def test_an_error_names_template_and_line(repository, text: str, where: str, message: str) -> None:
    error = failing(repository, text)
    assert error.where == where
    assert message in error.message
    assert error.hint


def test_the_error_of_an_included_template_names_that_one(repository) -> None:
    repository.write({"lib/broken.j2": "a: 1\n\n{{ nothing }}"})
    assert failing(repository, "{% include 'lib/broken.j2' %}").where == "lib/broken.j2:3"


def test_what_is_rendered_must_be_manifests(repository) -> None:
    with pytest.raises(ManifestError, match=r"one\.yaml\.j2 \(rendered\)"):
        render(repository.write({"one.yaml.j2": "just: {{ app.name }}\n"}))


@pytest.mark.parametrize("text", ["../../../../etc/hostname", "/../x.j2", "../../x"])
def test_an_include_that_leads_out_is_refused(repository, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.j2").write_text("canary")
    error = failing(repository, "{% include '" + text + "' %}")
    assert "leads out of the checkout" in error.message


def test_an_include_by_a_computed_name_does_not_lead_out(repository, tmp_path: Path) -> None:
    (tmp_path / "x.j2").write_text("canary")
    error = failing(repository, "{% set n = '../x' ~ '.j2' %}{% include n %}")
    assert "canary" not in str(error)


def test_a_link_out_is_not_followed(repository, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("canary: 1")
    (repository.root / "link.j2").symlink_to(tmp_path / "secret")
    assert "canary" not in str(failing(repository, "{% include 'link.j2' %}"))
    assert "canary" not in str(failing(repository, "{% set n = 'link' ~ '.j2' %}{% include n %}"))


@pytest.mark.parametrize(
    "expression",
    [
        "''.__class__.__mro__[1].__subclasses__()",
        "app.__init__.__globals__",
        "cycler.__init__.__globals__.os.popen('id').read()",
        "self._TemplateReference__context",
        "'{0.__class__}'.format(app)",
        "app.update({'name': 'x'})",
        "joiner.__init__.__code__",
        "lipsum.__globals__",
    ],
)
def test_no_template_reaches_pythons_insides(repository, expression: str) -> None:
    error = failing(repository, "{{ (" + expression + ") }}")
    assert "function" not in error.message.lower() or "unsafe" in error.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "seconds"),
        ("{{ ('x' * (app.name | length) * 1000000000) | length }}", "memory"),
        ("{% for a in range(500) %}{{ 'x' * 100000 }}{% endfor %}", "MiB"),
    ],
)
def test_a_template_without_end_is_stopped(repository, text: str, message: str) -> None:
    limits = Limits(wall=60, cpu=5, memory=1 << 30, output=8 << 20)
    assert message in failing(repository, text, limits=limits).message


def test_values_are_the_options_own_afterwards(repository) -> None:
    values = {"a": {"b": 1}}
    repository.write({"values.yaml": "a: {c: 2}\n"})
    value(repository, "a.b + a.c", values=values)
    assert values == {"a": {"b": 1}}


def test_a_values_file_is_a_map(repository) -> None:
    repository.write({"values.yaml": "- a\n"})
    assert failing(repository, "a: 1").where == "values.yaml"


def test_nothing_is_written_into_the_checkout(repository) -> None:
    repository.write({"one.yaml.j2": MAP.format(name="one", value="1")})
    before = repository.seen()
    render(repository)
    assert repository.seen() == before


def test_the_same_inputs_give_the_same(repository) -> None:
    repository.write({"one.yaml.j2": MAP.format(name="one", value="{{ {'b': 1, 'a': 2} | to_json }}")})
    assert render(repository) == render(repository)
