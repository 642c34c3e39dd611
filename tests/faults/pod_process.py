"""Pod processes that start quickly: forked from a server process that has already imported the product."""

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
_SERVER.set_forkserver_preload(
    ["topologies.__main__", "tests.faults.fault_points", "tests.faults.fault_rounds", "pytest"]
)


class PodProcess:
    """One process of a pod: the `saga` command with these words; fault words before `run` go to `fault_points`."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        self._process: ForkServerProcess = _SERVER.Process(target=_run, args=(words, dict(environment), log))
        self._process.daemon = True
        self._process.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    @property
    def alive(self) -> bool:
        """Whether the process exists, paused or not."""
        return self._process.is_alive()

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def log_text(self) -> str:
        """The log of this process so far; earlier processes write to the same file."""
        if not self._log.exists():
            return ""
        with self._log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def send(self, signum: signal.Signals) -> None:
        """Sends a signal, if the process still runs."""
        if self.alive:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """Sends SIGKILL, and waits for the end."""
        self.send(signal.SIGKILL)
        self._process.join()

    def stop(self) -> int:
        """Sends SIGTERM, and waits for the end; kills the process after 20 s. Returns its exit code."""
        self.send(signal.SIGTERM)
        self._process.join(_STOP_SECONDS)
        if self.alive:
            self.kill()
        return self._process.exitcode or 0


def _run(words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
    """Runs in the forked process: dies with its parent, and writes to the log only."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    with log.open("ab", buffering=0) as out:
        for stream in (1, 2):
            os.dup2(out.fileno(), stream)
    os.environ.update(environment)
    sys.argv = ["saga", *words]
    if len(words) > 1:
        from tests.faults.fault_points import main
    else:
        from topologies.__main__ import main
    main()
