"""The docs name every command, flag, field, reason, mark and metric that there is, and none that there is not."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from githttp import Authority
from harness import REPOSITORY, ControlPlane
from reference import app_reference, commands_reference, flags_of_commands, with_made_parts
from words import managers, marks, reasons

from pipeline import __version__
from pipeline.app import app_of_resource, load_app_file
from pipeline.app.status import Past, Status
from pipeline.cli.appdata import app_data, past_data
from pipeline.cli.delete import _data as deletion_data
from pipeline.cli.events import event_data
from pipeline.cli.outcome import outcome_data
from pipeline.cli.output import change_data, result_data
from pipeline.inventory.record import Record
from pipeline.observe.metrics import REFERENCE
from pipeline.plan.model import Action, Change
from pipeline.result import SyncResult
from pipeline.source.secrets import credentials_of_secret
from pipeline.source.sshkey import generate
from renderers.manifest import ObjectId, load_text

DOCS = REPOSITORY / "docs"
PAGES = {
    str(path.relative_to(REPOSITORY)): path.read_text()
    for path in (REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))
}
RESOURCE = {"metadata": {"namespace": "ns", "name": "shop", "generation": 1}, "spec": {}}
EXAMPLES = sorted((REPOSITORY / "examples" / "apps").glob("*.yaml"))
#: The keys of a metric's series, which Prometheus adds.
_SERIES = re.compile(r"_(?:bucket|count|sum)$")


def _examples(kind: str) -> list[Any]:
    """Every object of a kind that stands in a YAML block of a page, or in examples/apps, named by its place."""
    found = []
    blocks = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
    texts = [(page, text) for page, whole in PAGES.items() for text in blocks.findall(whole)]
    texts += [(str(file.relative_to(REPOSITORY)), file.read_text()) for file in EXAMPLES]
    for place, text in texts:
        loaded = load_text(text.encode(), file=place)
        assert loaded.warnings == (), place
        objects = [d.data for d in loaded.documents if isinstance(d.data, dict) and d.data.get("kind") == kind]
        found += [pytest.param(data, id=f"{place}:{data['metadata']['name']}") for data in objects]
    return found


def _first_column(page: str, heading: str) -> list[str]:
    """The words in the first column of the tables below a heading, without backticks."""
    section = re.split(r"^#+ ", PAGES[page].partition(f"# {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    rows = [line.split(" | ")[0].removeprefix("| ") for line in section.splitlines() if line.startswith("| `")]
    return [word for row in rows for word in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize(
    ("page", "make"),
    [
        ("app.md", lambda _: app_reference()),
        ("commands.md", lambda _: commands_reference()),
        ("metrics.md", with_made_parts),
    ],
)
def test_a_page_is_what_the_program_says(request: pytest.FixtureRequest, page: str, make: Any) -> None:
    file = DOCS / page
    text = make(file.read_text())
    if request.config.getoption("--update-docs"):
        file.write_text(text)
    assert file.read_text() == text, "run: pytest tests/test_docs.py --update-docs, and read the difference"


def test_every_reason_is_explained_once_and_no_other() -> None:
    words = [word for heading in ("Ready", "SourceReady", "Synced and Healthy")
             for word in _first_column("docs/apps.md", heading)]  # fmt: skip
    assert sorted(words) == sorted(reasons())


def test_every_mark_is_explained_and_no_other() -> None:
    text = PAGES["docs/ownership.md"]
    assert {mark for mark in marks() if f"`{mark}" not in text} == set()
    for page, text in PAGES.items():
        named = set(re.findall(r"\btrimtab\.dev/[a-z][a-z-]*", text)) - {"trimtab.dev/v"}
        assert named <= marks() | {"trimtab.dev/inventory-part"}, page


def test_every_field_manager_is_explained_and_no_other() -> None:
    assert sorted(_first_column("docs/ownership.md", "Field managers")) == sorted({"trimtab-<name>-<hex>"} | managers())


@pytest.mark.parametrize("page", PAGES)
def test_a_metric_that_is_named_exists(page: str) -> None:
    known = {metric.name for metric in REFERENCE}
    named = set(re.findall(r"\btrimtab_[a-z_]+", PAGES[page]))
    assert {name for name in named if name not in known and _SERIES.sub("", name) not in known} == set()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (REPOSITORY / page).parent / path if path else REPOSITORY / page
        assert file.exists(), target
        if anchor:
            assert anchor in set(map(_anchor, re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE))), target


def _anchor(heading: str) -> str:
    """As GitHub and GitLab make it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_commands_that_are_named_exist_with_these_flags(page: str) -> None:
    known = flags_of_commands()
    for command, rest in re.findall(r"^\s*trimtab ([a-z]+)\b(.*)", _code_of(PAGES[page]), re.MULTILINE):
        assert command in known, f"trimtab {command}"
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", rest.partition(" #")[0]):
            assert flag in known[command] | {"--help"}, f"trimtab {command} {flag}"


def _code_of(text: str) -> str:
    """What stands in blocks and spans of code, a line each."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL) + re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", text)])


def test_the_flags_of_run_that_stand_in_deploy_lines_exist() -> None:
    run = flags_of_commands()["run"]
    for page, text in PAGES.items():
        for flag in re.findall(r"^\s*- (--[a-z-]+)", text, re.MULTILINE):
            assert flag in run, page


def test_the_image_that_is_named_is_the_one_that_deploy_names() -> None:
    for page, text in PAGES.items():
        assert set(re.findall(r"trimtab:(\d+\.\d+\.\d+)", text)) <= {__version__}, page


def test_every_page_is_in_the_index() -> None:
    text = PAGES["docs/README.md"]
    assert [page.name for page in DOCS.glob("*.md") if page.name != "README.md" and f"({page.name})" not in text] == []


@pytest.mark.parametrize("app", _examples("App"))
def test_an_app_of_the_docs_is_one(app: dict[str, Any]) -> None:
    app_of_resource(app)


@pytest.mark.parametrize("app", _examples("App"))
def test_an_app_of_the_docs_is_taken_by_the_api_server(
    control_plane: ControlPlane, apps_are_known: None, app: dict[str, Any]
) -> None:
    metadata = {**app["metadata"], "namespace": "default"}
    text = json.dumps({**app, "metadata": metadata})
    control_plane.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", input=text)


def test_the_app_with_every_field_is_one_as_a_file(tmp_path: Path) -> None:
    file = tmp_path / "app.yaml"
    file.write_text(PAGES["docs/app.md"].partition("```yaml\n")[2].partition("```")[0])
    assert load_app_file(file).name == "shop"
    fields = {field.split(".")[-1].strip("[]") for field in _first_column("docs/app.md", "Spec")}
    assert {field for field in fields if not re.search(rf"\b{field}:", file.read_text())} <= {"applied", "healthy"}


@pytest.mark.parametrize("secret", _examples("Secret"))
def test_a_secret_of_the_docs_is_accepted(secret: dict[str, Any]) -> None:
    certificate, key = Authority().issue("client")
    real = {"OPENSSH PRIVATE KEY": generate(comment="").decode(), "CERTIFICATE": certificate, "PRIVATE KEY": key}

    def filled(text: str) -> bytes:
        named = re.match(r"-----BEGIN ([A-Z ]+)-----", text)
        return (real[named[1]] if named else text).encode()

    data = {key: filled(value) for key, value in secret["stringData"].items()}
    ssh = data.keys() & {"identity", "ssh-privatekey", "sshPrivateKey"}
    url = "git@git.example.com:team/shop.git" if ssh else "https://git.example.com/team/shop.git"
    assert not credentials_of_secret(data, url=url, known_hosts="").personal


@pytest.mark.parametrize(
    ("heading", "data"),
    [
        ("apply", result_data(SyncResult("ns/shop", "c"))),
        ("One object of `changes`", change_data(Change(ObjectId("ConfigMap", "", "ns", "a"), Action.CREATED))),
        ("sync, rollback and approve", outcome_data(Status(), RESOURCE, 0)),
        ("status", app_data(RESOURCE, Record("ns/shop", "owner", "cluster"), objects=True)),
        ("history", past_data(Past("2026-01-01T00:00:00Z", "Succeeded"))),
        ("events", event_data(RESOURCE)),
        ("delete", deletion_data(RESOURCE, deleted=False, code=0)),
    ],
)
def test_the_keys_of_data_are_explained_and_no_others(heading: str, data: dict[str, Any]) -> None:
    assert sorted(_first_column("docs/json.md", heading)) == sorted(data)
