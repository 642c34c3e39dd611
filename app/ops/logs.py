"""Log lines: JSON, one a line, on standard error; coloured text where a person is watching."""

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

# quixstreams prints its settings when it starts, secrets among them.
_QUIET = ("quixstreams",)


def configure(level: str) -> None:
    """Sets up the logging of this process."""
    watched = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if watched else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _wordless,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def wordless() -> Iterator[None]:
    """What nobody expected ends the process (exit code 1), and is told by place and kind, on any thread.

    The words of such an error are left out: they may repeat what was in a record.
    """
    threading.excepthook = lambda told: _say(told.exc_value)
    sys.unraisablehook = lambda told: _say(told.exc_value)
    try:
        yield
    except Exception as error:  # noqa: BLE001 - what is known was told before, and this is the end
        _say(error)
        raise SystemExit(1) from None


def places(error: BaseException) -> str:
    """Where an error, and each that led to it, was raised, and of which kind it is; not a word of it."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{places(cause)}which led to:\n" if cause is not None else ""
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}\n"


def _say(error: BaseException | None) -> None:
    if error is not None:
        sys.stderr.write(
            f"saga: an error that nobody expected; what it says is left out, as it may hold data\n{places(error)}"
        )
        sys.stderr.flush()


def _wordless(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """In the place of the usual traceback, whose last line has the error's words."""
    info: Any = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = places(error)
    return event
