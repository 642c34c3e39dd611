"""The processes of a run: pods of the orchestrator and sample services, none of which outlives it."""

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
_READY = '"event": "restored"'


class ChildFailed(Exception):
    """A child ended by itself or is not ready in time; the message has the end of its log."""


class Child:
    """One process that can be started again under the same name; its log goes on over all its lives."""

    def __init__(self, launcher: Launcher, command: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._launcher = launcher
        self._command = list(command)
        self._environment = {**os.environ, **environment}
        self._process: Process | None = None
        self._begins = 0
        self.log = log

    @property
    def pid(self) -> int | None:
        """The process id of the present life."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Begins a life."""
        self._begins = self.log.stat().st_size if self.log.exists() else 0
        self._process = self._launcher.launch(self._command, Path.cwd(), self.log, self._environment)

    def kill(self) -> None:
        """Ends it at once, as a crash would (SIGKILL)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Asks it to end (SIGTERM), and waits; returns its exit code."""
        return self._end(signal.SIGTERM)

    def tell(self, how: signal.Signals) -> None:
        """Sends it a signal, if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(how)

    @property
    def exit_code(self) -> int | None:
        """How its present life ended, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def await_log(self, text: str, seconds: float = 60.0) -> None:
        """Waits until this life's log has the text. Raises ChildFailed."""
        end = time.monotonic() + seconds
        while text not in self.said():
            if not self.alive or time.monotonic() > end:
                why = "did not say" if self.alive else "ended before it said"
                raise ChildFailed(f"{self.log.stem} {why} {text!r}; its log ends with:\n{self.said()[-2000:]}")
            time.sleep(_POLL_SECONDS)

    @property
    def is_ready(self) -> bool:
        """Whether a pod owns partitions and has their state."""
        return _READY in self.said()

    def await_ready(self) -> None:
        """Waits until a pod is ready. Raises ChildFailed."""
        self.await_log(_READY)

    def said(self) -> str:
        """This life's log so far."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._begins)
            return log.read().decode(errors="replace")

    def _end(self, how: signal.Signals) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(how)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


class Children(AbstractContextManager["Children"]):
    """All processes of a run, in a folder of theirs; leaving the block ends them, the youngest first."""

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
        """A process that is not started yet."""
        child = Child(
            self._launcher, command, {**self._environment, **(environment or {})}, self.folder / f"{name}.log"
        )
        self._all.append(child)
        return child

    def pod(self, saga: Sequence[str], name: str, environment: Mapping[str, str] | None = None) -> Child:
        """A pod of the orchestrator, with a folder for its state; `saga` is how the `saga` command is called."""
        own = {"SAGA_INSTANCE_ID": name, "SAGA_STATE_DIR": str(self.state_of(name))}
        return self.add(name, [*saga, "run"], {**own, **(environment or {})})

    def service(self, saga: Sequence[str], name: str, *behaviour: str) -> Child:
        """A sample service, with a ledger of its own."""
        ledger = self.folder / f"{name}.sqlite"
        return self.add(name, [*saga, "serve", name, "--ledger", str(ledger), *behaviour])

    def state_of(self, name: str) -> Path:
        """Where a pod keeps its state."""
        return self.folder / f"{name}.state"
