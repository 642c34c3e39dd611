"""Starts processes that end with this one, whichever thread asks for them."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from app.devkafka import tether

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class _Job:
    command: Sequence[str]
    directory: Path
    log: Path
    environment: Mapping[str, str] | None
    started: Future[Process] = field(default_factory=Future)


class Launcher:
    """One thread that starts all processes: Linux ties "parent died" to the thread that forked, so it must stay."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._work, name="devkafka-launcher", daemon=True).start()

    def launch(
        self, command: Sequence[str], directory: Path, log: Path, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Starts `command` (an absolute path first) in `directory`, its output added to `log`; raises OSError.

        Without an environment of its own it has this process's.
        """
        job = _Job(command, directory, log, environment)
        self._jobs.put(job)
        return job.started.result()

    def close(self) -> None:
        """Ends the thread, and with it whatever it started that still runs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                job.started.set_result(_start(job))
            except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to the thread that asked
                job.started.set_exception(error)


def _start(job: _Job) -> Process:
    # A session of its own: Ctrl-C in the terminal reaches us alone, and we end the brokers in our order.
    tied = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *job.command]
    with job.log.open("ab") as log:
        return subprocess.Popen(
            tied,
            cwd=job.directory,
            env=job.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
