"""The log: one line of JSON an event in a cluster, readable on a terminal. The only import of `structlog`."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, Protocol, Self, TextIO

import structlog

from pipeline.errors import InputError

LEVELS = ("debug", "info", "warning", "error")
#: In each line these come first and in this order, so that one's eye finds them.
_ORDER = ("timestamp", "level", "event", "app", "commit", "step", "object")
#: The last line of defence only: no secret value is given to the log in the first place.
_SECRET = re.compile(r"token|password|passphrase|identity|private_key|authorization", re.IGNORECASE)
#: What moves the cursor or the colours of a terminal; a line feed and a tab may stand.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_Event = MutableMapping[str, Any]


class Logger(Protocol):
    """Says what happened, as a short sentence, with the values that belong to it: `app`, `commit`, `step`, `object`.

    `error` and `warning` are for what a person should look at.
    """

    def bind(self, **values: object) -> Self:
        """A logger that says these values with every event."""
        ...

    def debug(self, event: str, **values: object) -> None:
        """What helps to find a defect in Trimtab."""
        ...

    def info(self, event: str, **values: object) -> None:
        """What was done."""
        ...

    def warning(self, event: str, **values: object) -> None:
        """What may need a person."""
        ...

    def error(self, event: str, **values: object) -> None:
        """What does need one."""
        ...

    def exception(self, event: str, **values: object) -> None:
        """A defect in Trimtab, with the traceback of the exception that is being handled."""
        ...


def logger() -> Logger:
    """The log. May be asked for before `configure`, which then counts for it too."""
    log: Logger = structlog.get_logger()
    return log


def configure(*, json_lines: bool, level: str, stream: TextIO | None = None) -> None:
    """Set the log up for this process, on standard error if `stream` does not say otherwise.

    `level` is one of LEVELS; what is below it is not written. Libraries that log are heard from WARNING on, whatever
    the level, because below that they show requests. Raises InputError for an unknown level.
    """
    if level not in LEVELS:
        raise InputError(f"the log level {level!r} is not known", hint=f"choose one of {', '.join(LEVELS)}")
    stream = stream or sys.stderr
    end: list[structlog.typing.Processor]
    if json_lines:
        # Tracebacks as text: the structured form has the values of all variables in it.
        end = [structlog.processors.format_exc_info, _ordered, structlog.processors.JSONRenderer(ensure_ascii=False)]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
        )
        end = [_harmless, _ordered, renderer]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            *end,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
    )
    logging.basicConfig(handlers=[_Foreign()], level=logging.WARNING, force=True)


class _Foreign(logging.Handler):
    """What libraries say through `logging`, in the same form and through the same stream."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            structlog.get_logger().log(
                record.levelno, record.getMessage(), library=record.name, exc_info=record.exc_info
            )
        except Exception:  # noqa: BLE001 - as `logging` asks of a handler
            self.handleError(record)


def _without_secrets(_logger: object, _method: str, event: _Event) -> _Event:
    for key in [key for key in event if _SECRET.search(key)]:
        del event[key]
    return event


def _harmless(_logger: object, _method: str, event: _Event) -> _Event:
    """Text from a repository does not steer a terminal. JSON escapes such characters itself."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", value)
    return event


def _ordered(_logger: object, _method: str, event: _Event) -> _Event:
    first = {key: event[key] for key in _ORDER if key in event}
    return {**first, **event}
