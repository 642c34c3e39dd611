"""Starts child processes that end with this process, from any thread."""

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from app.devkafka import die_with_parent

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class _Job:
    command: Sequence[str]
    directory: Path
    log: Path
    environment: Mapping[str, str] | None
    started: Future[Process] = field(default_factory=Future)


class Launcher:
    """One thread that starts all processes: for Linux the "parent" is the thread that forked, so it must live on."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._work, name="devkafka-launcher", daemon=True).start()

    def launch(
        self, command: Sequence[str], directory: Path, log: Path, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Starts `command` (an absolute path first) in `directory`, its output appended to `log`; raises OSError.

        Without an `environment` the process inherits this one's.
        """
        job = _Job(command, directory, log, environment)
        self._jobs.put(job)
        return job.started.result()

    def close(self) -> None:
        """Ends the thread, and thereby every process it started that still runs."""
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            try:
                job.started.set_result(_start(job))
            except Exception as error:  # noqa: BLE001 - raised on the thread that called `launch`
                job.started.set_exception(error)


def _start(job: _Job) -> Process:
    # A new session: Ctrl-C on the terminal reaches this process alone, which then ends the brokers one by one.
    tied = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *job.command]
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
