"""The orchestrators under test, how each is started, and the drivers that measure them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from app.devkafka import die_with_parent
from app.devkafka.java import find_java
from tests.benchmarks.clients import MeasurementFailed
from tests.benchmarks.workspace import ROOT, Workspace

_STOP_SECONDS = 20.0
_DRIVER_SECONDS = 300.0
_LOG_TAIL = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Peer:
    """An orchestrator. `warm_up`: orders before the first measurement; `until_compiled`: further orders until it gets
    no faster; `max_rate`: the highest rate (orders per second) that it can follow.
    """

    name: str
    command: Callable[[Workspace], list[str]]
    warm_up: int
    until_compiled: int = 0
    max_rate: int = 1_000
    settings: Mapping[str, str] = field(default_factory=dict)


PRODUCT = Peer("order-saga", lambda _: [sys.executable, "-m", "topologies", "run"], warm_up=4_000)
WITHOUT_TIMERS = Peer(
    "without timers", lambda _: [sys.executable, "-m", "tests.benchmarks.without_timers", "run"], warm_up=4_000
)
SCRAPED = Peer("scraped", lambda _: [sys.executable, "-m", "tests.benchmarks.scraped", "run"], warm_up=4_000)
TRACED = replace(PRODUCT, name="with traces", settings={"SAGA_TRACES": "true"})
STOCK = Peer("stock", lambda _: _stock("1.0"), warm_up=1_000, max_rate=0)  # quixstreams' default poll time-out
TUNED = Peer("tuned stock", lambda _: _stock("0.01"), warm_up=4_000, max_rate=100)


def kafka_streams(folder: Path) -> Peer | None:
    """The Kafka Streams peer in a folder of peers, with its best settings for latency; None if it isn't built."""
    jar = folder / "kafka-streams/target/ks-saga-1.jar"
    if not jar.exists():
        return None

    def command(workspace: Workspace) -> list[str]:
        classes = f"{jar}:{jar.parent}/lib/*"
        kafka = ["--bootstrap", workspace.bootstrap, "--prefix", workspace.prefix, "--state-dir", str(workspace.state)]
        tuned = ["--threads", "1", "--commit-ms", "20", "--tuned", "true"]
        return [str(find_java(os.environ)), "-Xmx1g", "-cp", classes, "saga.Main", *kafka, *tuned]

    return Peer("Kafka Streams", command, warm_up=20_000, until_compiled=40_000)  # then the JVM has compiled everything


def _stock(poll_seconds: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.stock_saga", poll_seconds]


class Process:
    """One process of an orchestrator; it ends when this process ends, however that happens."""

    def __init__(self, peer: Peer, workspace: Workspace) -> None:
        with workspace.log.open("ab") as log:
            self._popen = subprocess.Popen(
                _dying_with_parent(peer.command(workspace)),
                cwd=ROOT,
                env=workspace.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def check_alive(self) -> None:
        """Raises MeasurementFailed when it has ended by itself."""
        if self._popen.poll() is not None:
            raise MeasurementFailed("the orchestrator has ended by itself")

    def kill(self) -> None:
        """Sends SIGKILL; returns when it is gone."""
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> None:
        """Sends SIGTERM; returns when it is gone."""
        self._popen.terminate()
        self._popen.send_signal(signal.SIGCONT)  # a failed driver may have left it paused
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def running(peer: Peer, workspace: Workspace) -> Iterator[int]:
    """Creates the topics, and runs the orchestrator for the block; yields its process id. Raises MeasurementFailed."""
    workspace.prepare()
    process = Process(peer, workspace)
    try:
        yield process.pid
        process.check_alive()
    except MeasurementFailed as error:
        raise MeasurementFailed(f"{error}\nThe end of its log:\n{_tail(workspace.log)}") from error
    finally:
        process.stop()


def _dying_with_parent(command: list[str]) -> list[str]:
    """The command, wrapped so that it ends when this process ends."""
    return [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command]


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip() or "(nothing)"


class Driver:
    """A program that loads an orchestrator and measures it; its options have the same names in every language."""

    def __init__(self, name: str, command: list[str], broker: int) -> None:
        self.name = name
        self._command = command
        self._broker = broker

    def measure(self, test: str, workspace: Workspace, pids: Sequence[int], **options: object) -> dict[str, Any]:
        """The result of a test. Raises MeasurementFailed when there is none."""
        ids = ",".join(map(str, pids))
        done = self._run(test, workspace, {"pid": ids, "broker-pid": self._broker, **options})
        if done.returncode:
            raise MeasurementFailed(f"{test} failed: {(done.stderr or done.stdout).strip()}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def verify(self, workspace: Workspace, orders: int) -> list[str]:
        """The errors of all orders ever placed in a workspace."""
        done = self._run("verify", workspace, {"orders": orders})
        return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []

    def _run(self, test: str, workspace: Workspace, options: dict[str, object]) -> subprocess.CompletedProcess[str]:
        at = {
            "bootstrap": workspace.bootstrap,
            "prefix": workspace.prefix,
            "partitions": workspace.partitions,
        }
        all_options = {**at, **options}
        words = [word for name, value in all_options.items() for word in (f"--{name}", str(value))]
        try:
            return subprocess.run(
                _dying_with_parent([*self._command, test, *words]),
                cwd=ROOT,
                check=False,
                capture_output=True,
                text=True,
                timeout=_DRIVER_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise MeasurementFailed(f"{test} was not done within {_DRIVER_SECONDS:.0f} s") from error


def driver(folder: Path | None, broker: int) -> Driver:
    """The driver built in a folder of peers, else our own; it also measures the broker process."""
    built = folder / "driver/target/release/bench-driver" if folder else None
    if built is not None and built.exists():
        return Driver("the peers' driver", [str(built)], broker)
    return own_driver(broker)


def own_driver(broker: int) -> Driver:
    """The driver that comes with the benchmarks."""
    return Driver("our own driver", [sys.executable, "-m", "tests.benchmarks.driver"], broker)
