"""The end of a process that must end: a client that hangs while it is closed doesn't keep it."""

import logging
import os
import threading
import time

log = logging.getLogger(__name__)

_CODE = 1  # that of a process that may be started again


def end_within(seconds: float, why: BaseException) -> None:
    """Ends this process after so many seconds, unless it has ended by then; `why` is logged as its class alone."""
    threading.Thread(target=_end, args=(seconds, type(why).__name__), name="ending", daemon=True).start()


def _end(seconds: float, why: str) -> None:
    time.sleep(seconds)
    log.error("closing takes too long: ended without it", extra={"because": why})
    os._exit(_CODE)
