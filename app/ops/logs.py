"""Logging to standard error: one JSON object per line for programs, coloured text on a terminal."""

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog

log = logging.getLogger(__name__)

# quixstreams logs its settings, secrets among them, when it starts.
_QUIET = ("quixstreams",)


class _JsonHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Tells a root logger that writes JSON from any other."""


def configure(level: str) -> None:
    """Sets up logging for this process, warnings of Python included; a second call replaces the first."""
    on_terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr) if on_terminal else _JsonHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _redact,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def last_line(sentence: str, exit_code: int) -> None:
    """Says why the process ends: as a JSON line where the log is JSON, else as `saga: sentence`."""
    if _writes_json():
        log.error("%s", sentence, extra={"exit_code": exit_code})
    else:
        print(f"saga: {sentence}", file=sys.stderr, flush=True)  # noqa: T201 - for whoever typed the command


@contextmanager
def redact_exceptions() -> Iterator[None]:
    """Ends the process (exit code 1) on an unexpected error, and reports its class and frames without its text.

    The text is left out because it may repeat data of a record. On other threads an error is reported the same way.
    """
    threading.excepthook = lambda failure: _report(failure.exc_value)
    sys.unraisablehook = lambda failure: _report(failure.exc_value)
    try:
        yield
    except Exception as error:  # noqa: BLE001 - expected errors were reported before; this is the outermost frame
        _report(error, exit_code=1)
        raise SystemExit(1) from None


def frames_only(error: BaseException) -> str:
    """The frames and the class of an error and of each error that led to it, without their texts."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{frames_only(cause)}which led to:\n" if cause is not None else ""
    return f"{before}{''.join(traceback.format_tb(error.__traceback__))}{type(error).__name__}\n"


def _report(error: BaseException | None, **extra: int) -> None:
    if error is None:
        return
    if _writes_json():
        log.critical("unexpected error", exc_info=error, extra=extra)
        return
    sys.stderr.write(f"saga: unexpected error; its text is left out, as it may hold data\n{frames_only(error)}")
    sys.stderr.flush()


def _writes_json() -> bool:
    return any(isinstance(handler, _JsonHandler) for handler in logging.getLogger().handlers)


def _redact(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replaces the usual traceback, whose last line has the error's text."""
    info: Any = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = frames_only(error)
    return event
