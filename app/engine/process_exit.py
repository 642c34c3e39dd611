"""Ends a failed process even if a client hangs while it is closed."""

import logging
import os
import threading
import time

from app.engine.errors import EngineStopped, NeedsOperator

log = logging.getLogger(__name__)

NEEDS_OPERATOR = 2
"""Exit code: a person must change something first."""
NEEDS_RESTART = 1
"""Exit code: start the process again."""


def exit_code(cause: BaseException) -> int:
    """The exit code that tells what this error needs."""
    return NEEDS_OPERATOR if isinstance(cause, NeedsOperator) else NEEDS_RESTART


def force_exit_after(seconds: float, error: BaseException) -> None:
    """Ends this process after so many seconds, unless it has ended by then, with the exit code of the error.

    The log gets the sentence of the engine's own errors; of any other only the class, as its text may hold data.
    """
    cause = _engine_error(error)
    reason = str(cause) if cause is not None else type(error).__name__
    arguments = (seconds, reason, exit_code(cause or error))
    threading.Thread(target=_exit, args=arguments, name="force-exit", daemon=True).start()


def _engine_error(error: BaseException) -> EngineStopped | None:
    """The engine's own error in the chain of causes: quixstreams wraps what is raised in a rebalance callback."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, EngineStopped):
        cause = cause.__cause__
    return cause


def _exit(seconds: float, reason: str, code: int) -> None:
    time.sleep(seconds)
    log.error("closing the clients took too long: process ended", extra={"reason": reason, "exit_code": code})
    os._exit(code)
