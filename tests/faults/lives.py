"""Lives of pods, begun quickly: forked from a process that has imported the product, and has done nothing with it."""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path

_STOP_SECONDS = 20.0
_PR_SET_PDEATHSIG = 1
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["topologies.__main__", "tests.faults.at", "tests.faults.rounds", "pytest"])


class Life:
    """One life of a pod: the `saga` command with these words, run as `python -m tests.faults.at` runs it."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._begins = log.stat().st_size if log.exists() else 0
        self._process: ForkServerProcess = _SERVER.Process(target=_live, args=(words, dict(environment), log))
        self._process.daemon = True
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether it runs, asleep or not."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._process.exitcode

    def said(self) -> str:
        """Its log so far."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._begins)
            return log.read().decode(errors="replace")

    def tell(self, how: signal.Signals) -> None:
        """Sends it a signal, if it still runs."""
        if self.alive:
            os.kill(self.pid, how)

    def kill(self) -> None:
        """Ends it at once (SIGKILL)."""
        self.tell(signal.SIGKILL)
        self._process.join()

    def stop(self) -> int:
        """Asks it to end (SIGTERM), and waits; returns its exit code."""
        self.tell(signal.SIGTERM)
        self._process.join(_STOP_SECONDS)
        if self.alive:
            self.kill()
        return self._process.exitcode or 0


def _live(words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """In the process of its own: ends with the one that began it, and writes to the log alone."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with log.open("ab", buffering=0) as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    os.environ.update(environment)
    sys.argv = ["saga", *words]
    if len(words) > 1:
        from tests.faults.at import main
    else:
        from topologies.__main__ import main
    main()
