"""The docs name every command, flag, annotation and exit code that there is, and none that there is not."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from pipeline.app import App, load_app_file
from pipeline.cli.main import program
from pipeline.inventory import names

ROOT = Path(__file__).parent.parent
COMMANDS = ROOT / "docs" / "commands.md"

_HEAD = """# Commands

Every command and every flag, made from the program's own help (`pytest tests/test_docs.py --update-docs`).

Data goes to standard output, everything else to standard error; `-o json` is a promise. An argument that is a folder is
a path; anything else is an App's name. `--namespace` is the target namespace for folders, the App's own namespace for
Apps.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; `diff`: something differs |
| 2 | bad usage or input, nothing was changed; `diff`: any error |
| 3 | held: approval is needed |
| 4 | some objects failed, others were applied |
| 5 | the cluster or the source is out of reach |
| 130 | interrupted |
"""


def _reference() -> str:
    commands = typer.main.get_command(program()).commands  # type: ignore[attr-defined]
    parts = [_HEAD]
    for name, command in sorted(commands.items()):
        arguments = [p.name.upper() for p in command.params if p.param_type_name == "argument"]
        parts.append(f"\n## trimtab {' '.join([name, *arguments])}\n\n{(command.help or '').strip()}\n")
        rows = [_row(parameter) for parameter in command.params if parameter.param_type_name == "option"]
        if rows:
            parts.append("\n| flag | what it does | default |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n")
    return "".join(parts)


def _row(option: Any) -> str:
    flags = ", ".join(f"`{flag}`" for flag in (*option.opts, *option.secondary_opts))
    default = option.default
    if option.is_flag and option.secondary_opts:
        shown = f"`{option.opts[0] if default else option.secondary_opts[0]}`"
    else:
        shown = f"`{getattr(default, 'value', default)}`" if default not in (None, "", False, ()) else ""
    return f"| {flags} | {(option.help or '').replace('|', chr(92) + '|')} | {shown} |"


def test_the_reference_of_commands_is_what_the_program_says(request: pytest.FixtureRequest) -> None:
    reference = _reference()
    if request.config.getoption("--update-docs"):
        COMMANDS.write_text(reference)
    assert COMMANDS.read_text() == reference, "run: pytest tests/test_docs.py --update-docs, and read the difference"


def test_the_app_of_the_docs_is_one_and_has_every_field(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "app.md").read_text()
    file = tmp_path / "app.yaml"
    file.write_text(text.partition("```yaml\n")[2].partition("```")[0])
    load_app_file(file)
    missing = {name for name in _fields(App) if not re.search(rf"\b{name}:", text)}
    assert missing == set()


def _fields(struct: Any) -> set[str]:
    """The names of all fields below a struct, as YAML has them."""
    names = set()
    todo, seen = [msgspec.inspect.type_info(struct)], set()
    while todo:
        info = todo.pop()
        if isinstance(info, msgspec.inspect.StructType) and info.cls not in seen:
            seen.add(info.cls)
            names |= {field.encode_name for field in info.fields}
            todo += [field.type for field in info.fields]
        todo += [getattr(info, "item_type", None), *getattr(info, "types", ())]
        todo = [item for item in todo if item is not None]
    return names


def test_every_annotation_and_label_is_in_the_docs() -> None:
    text = (ROOT / "docs" / "ownership.md").read_text()
    ours = {value for name, value in vars(names).items() if name.endswith(("_LABEL", "_ANNOTATION"))}
    ours.discard(names.INVENTORY_LABEL)
    assert {name for name in ours if name not in text} == set()
    assert set(re.findall(r"trimtab\.dev/[a-z]+", text)) <= ours | {names.INVENTORY_LABEL}


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_lead_somewhere_and_flags_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#]+)", text):
        assert "://" in target or (ROOT / page).parent.joinpath(target).exists(), target
    known = set(re.findall(r"`(--?[a-z-]+)`", _reference()))
    for line in re.findall(r"trimtab [a-z]+ [^`\n]*", text):
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line):
            assert flag in known, f"{page}: {flag} in: {line}"
