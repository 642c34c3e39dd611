"""A thread for calls that may never return, so that nobody has to wait for them."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue

Call = Callable[[], None]


class Errands:
    """Makes one call after the other. Unlike an executor's, its thread doesn't keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Call, Future[None]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def do(self, call: Call) -> Future[None]:
        """Has it called; what comes of it is told there."""
        told: Future[None] = Future()
        self._calls.put((call, told))
        return told

    def close(self) -> None:
        """Waits for the calls that there are, and ends."""
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        for call, told in iter(self._calls.get, None):
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - it belongs to who waits for the call
                told.set_exception(error)
            else:
                told.set_result(None)
