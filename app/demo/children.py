"""The child processes of a run: pods and sample services, none of which outlives it."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from app.devkafka.launcher import Launcher, Process

_STOP_SECONDS = 20.0
_POLL_SECONDS = 0.05
_READY = '"event": "state restored"'


class ChildFailed(Exception):
    """A child ended by itself, or was not ready in time. The message has the end of its log."""


class Child:
    """A process that can be started again and again; all starts write to one log file."""

    def __init__(self, launcher: Launcher, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._launcher = launcher
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._process: Process | None = None
        self._log_start = 0  # where the log of the latest start begins, in bytes
        self.log = log

    @property
    def pid(self) -> int | None:
        """The process id of the latest start."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process; one that runs must be ended first."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._launcher.launch(self._command, Path.cwd(), self.log, self._environment)

    def kill(self) -> None:
        """Sends SIGKILL, and waits until the process is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Sends SIGTERM, and SIGKILL after 20 s; returns the exit code."""
        return self._end(signal.SIGTERM)

    def tell(self, number: signal.Signals) -> None:
        """Sends a signal to the process, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the latest start, negative for a signal; None while the process runs."""
        return None if self._process is None else self._process.poll()

    def await_log(self, text: str, seconds: float = 60.0) -> None:
        """Waits until the log of the latest start has the text. Raises ChildFailed."""
        end = time.monotonic() + seconds
        while text not in self.said():
            if not self.alive or time.monotonic() > end:
                why = "did not log" if self.alive else "ended before it logged"
                raise ChildFailed(f"{self.log.stem} {why} {text!r}; its log ends with:\n{self.said()[-2000:]}")
            time.sleep(_POLL_SECONDS)

    @property
    def is_ready(self) -> bool:
        """Whether the pod has restored the state of its first partitions."""
        return _READY in self.said()

    def await_ready(self) -> None:
        """Waits until the pod is ready. Raises ChildFailed."""
        self.await_log(_READY)

    def said(self) -> str:
        """The log of the latest start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _end(self, number: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Children(AbstractContextManager["Children"]):
    """All processes of a run, their files in one folder; leaving the block ends them, the youngest first."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._environment = dict(environment)
        self._launcher = Launcher()
        self._all: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in reversed(self._all):
            child.kill() if kind is not None else child.stop()
        self._launcher.close()

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Child:
        """A child, not started yet, whose log is `name`.log."""
        child = Child(
            self._launcher, command, {**self._environment, **(environment or {})}, self.folder / f"{name}.log"
        )
        self._all.append(child)
        return child

    def pod(self, saga: Sequence[str], name: str, environment: Mapping[str, str] | None = None) -> Child:
        """A pod, not started yet, with a state folder of its own; `saga` is the command line of the `saga` command."""
        own = {"SAGA_INSTANCE_ID": name, "SAGA_STATE_DIR": str(self.state_of(name))}
        return self.add(name, [*saga, "run"], {**own, **(environment or {})})

    def service(self, saga: Sequence[str], name: str, *options: str) -> Child:
        """A sample service, not started yet, with a ledger of its own; `options` are those of `saga serve`."""
        ledger = self.folder / f"{name}.sqlite"
        return self.add(name, [*saga, "serve", name, "--ledger", str(ledger), *options])

    def state_of(self, name: str) -> Path:
        """The state folder of the pod of this name."""
        return self.folder / f"{name}.state"
