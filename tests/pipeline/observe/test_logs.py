"""The log: its two forms, its order, and what never gets into it."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import structlog

from pipeline.errors import InputError
from pipeline.observe.logs import LEVELS, configure, logger


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The log belongs to the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_line_of_json_has_its_keys_in_order_and_an_rfc_3339_time() -> None:
    stream = io.StringIO()
    configure(json_lines=True, level="info", stream=stream)
    logger().bind(object="ConfigMap/a", zebra=1).info("synced — all of it", step="apply", commit="abc", app="x/y")
    line = stream.getvalue()
    assert line.endswith("}\n")
    assert "—" in line
    said = json.loads(line)
    assert list(said) == ["timestamp", "level", "event", "app", "commit", "step", "object", "zebra"]
    assert (said["level"], said["event"], said["zebra"]) == ("info", "synced — all of it", 1)
    assert said["timestamp"].endswith("Z")
    assert datetime.fromisoformat(said["timestamp"]).utcoffset() == timedelta(0)


def test_below_the_level_nothing_is_said() -> None:
    stream = io.StringIO()
    configure(json_lines=True, level="warning", stream=stream)
    for level in LEVELS:
        getattr(logger(), level)(level)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["warning", "error"]


def test_an_unknown_level_names_those_that_exist() -> None:
    with pytest.raises(InputError, match="'loud' is not known") as caught:
        configure(json_lines=True, level="loud")
    assert "debug, info, warning, error" in caught.value.hint


def test_a_logger_that_was_asked_for_before_is_set_up_too() -> None:
    early = logger()
    stream = io.StringIO()
    configure(json_lines=True, level="info", stream=stream)
    early.info("here")
    assert json.loads(stream.getvalue())["event"] == "here"


@pytest.mark.parametrize("json_lines", [True, False])
def test_a_traceback_has_no_values_of_variables(*, json_lines: bool) -> None:
    stream = io.StringIO()
    configure(json_lines=json_lines, level="info", stream=stream)
    hidden = "hush" + "hush"
    try:
        _fail(hidden)
    except RuntimeError:
        logger().exception("a defect")
    assert "RuntimeError: oops" in stream.getvalue()
    assert "test_logs.py" in stream.getvalue()
    assert hidden not in stream.getvalue()


@pytest.mark.parametrize("key", ["token", "Password", "identity", "access_token", "private_key"])
def test_a_key_that_looks_like_a_secret_is_left_out(key: str) -> None:
    stream = io.StringIO()
    configure(json_lines=True, level="info", stream=stream)
    logger().info("read", **{key: "hush", "other": "1"})
    assert "hush" not in stream.getvalue()
    assert json.loads(stream.getvalue())["other"] == "1"


def test_libraries_are_heard_from_warning_on_in_the_same_form() -> None:
    stream = io.StringIO()
    configure(json_lines=True, level="debug", stream=stream)
    for name in ("urllib3.connectionpool", "kubernetes.client.rest", "asyncio"):
        logging.getLogger(name).debug("response body: hush")
        logging.getLogger(name).info("hush")
        logging.getLogger(name).warning("the pool is %s", "full")
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(line["event"], line["level"], line["library"]) for line in said] == [
        ("the pool is full", "warning", "urllib3.connectionpool"),
        ("the pool is full", "warning", "kubernetes.client.rest"),
        ("the pool is full", "warning", "asyncio"),
    ]


def test_an_exception_of_a_library_is_told() -> None:
    stream = io.StringIO()
    configure(json_lines=True, level="info", stream=stream)
    try:
        _fail("hush")
    except RuntimeError:
        logging.getLogger("lib").exception("it broke")
    assert "RuntimeError: oops" in json.loads(stream.getvalue())["exception"]


def test_a_terminal_is_coloured_and_a_file_is_not() -> None:
    for stream, coloured in ((Terminal(), True), (io.StringIO(), False)):
        configure(json_lines=False, level="info", stream=stream)
        logger().info("synced", app="x/y")
        assert ("\x1b[" in stream.getvalue()) is coloured
        assert "synced" in stream.getvalue()
        assert "x/y" in stream.getvalue()


def test_text_from_a_repository_does_not_steer_a_terminal() -> None:
    stream = io.StringIO()
    configure(json_lines=False, level="info", stream=stream)
    logger().info("a\x1b[2Jb", path="c\x1b]0;d\x07\r")
    assert not {"\x1b", "\x07", "\r"} & set(stream.getvalue())
    assert "a\\x1b[2Jb" in stream.getvalue()


def _fail(hidden: str) -> None:
    assert hidden
    raise RuntimeError("oops")
