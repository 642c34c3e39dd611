"""The orchestrators that are measured, how each is started, and the drivers that measure them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.devkafka import tether
from app.devkafka.java import find_java
from tests.benchmarks.clients import Trouble
from tests.benchmarks.site import ROOT, Site

_STOP_SECONDS = 20.0
_DRIVER_SECONDS = 300.0
_LOG_TAIL = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Peer:
    """An orchestrator: how to start it, how many orders warm it up, after how many more it gets no faster, and how many
    a second it can follow at all."""

    name: str
    command: Callable[[Site], list[str]]
    warm_up: int
    until_hot: int = 0
    most_a_second: int = 1_000


PRODUCT = Peer("order-saga", lambda _: [sys.executable, "-m", "topologies", "run"], warm_up=4_000)
TIMELESS = Peer(
    "without time-outs", lambda _: [sys.executable, "-m", "tests.benchmarks.timeless", "run"], warm_up=4_000
)
STOCK = Peer("stock", lambda _: _stock("1.0"), warm_up=1_000, most_a_second=0)  # the library's own poll time-out
TUNED = Peer("tuned stock", lambda _: _stock("0.01"), warm_up=4_000, most_a_second=100)


def kafka_streams(folder: Path) -> Peer | None:
    """The Java peer of a folder of peers, with its best settings for latency; None where it wasn't built."""
    jar = folder / "kafka-streams/target/ks-saga-1.jar"
    if not jar.exists():
        return None

    def command(site: Site) -> list[str]:
        classes = f"{jar}:{jar.parent}/lib/*"
        where = ["--bootstrap", site.bootstrap, "--prefix", site.prefix, "--state-dir", str(site.state)]
        tuned = ["--threads", "1", "--commit-ms", "20", "--tuned", "true"]
        return [str(find_java(os.environ)), "-Xmx1g", "-cp", classes, "saga.Main", *where, *tuned]

    return Peer("Kafka Streams", command, warm_up=20_000, until_hot=40_000)  # then the JVM has compiled all


def _stock(poll_seconds: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.stock_saga", poll_seconds]


class Process:
    """One process of an orchestrator at its site; it ends with this process, whatever ends that."""

    def __init__(self, peer: Peer, site: Site) -> None:
        self._site = site
        with site.log.open("ab") as log:
            self._popen = subprocess.Popen(
                _tied(peer.command(site)),
                cwd=ROOT,
                env=site.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its id."""
        return self._popen.pid

    def check_alive(self) -> None:
        """Raises Trouble when it has ended by itself."""
        if self._popen.poll() is not None:
            raise Trouble("the orchestrator has ended by itself")

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self._popen.kill()
        self._popen.wait()

    def stop(self) -> None:
        """Asks it to end, and returns when it is gone."""
        self._popen.terminate()
        self._popen.send_signal(signal.SIGCONT)  # a driver that failed may have left it paused
        try:
            self._popen.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


@contextmanager
def running(peer: Peer, site: Site) -> Iterator[int]:
    """The process id of the orchestrator, which ends with the block. Its topics are made. Raises Trouble."""
    site.prepare()
    process = Process(peer, site)
    try:
        yield process.pid
        process.check_alive()
    except Trouble as trouble:
        raise Trouble(f"{trouble}\nThe end of its log:\n{_tail(site.log)}") from trouble
    finally:
        process.stop()


def _tied(command: list[str]) -> list[str]:
    """The command of a program that ends with this process, whatever ends it."""
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip() or "(nothing)"


class Driver:
    """A program that loads an orchestrator and measures it; its options have the same names in every language."""

    def __init__(self, name: str, command: list[str], broker: int) -> None:
        self.name = name
        self._command = command
        self._broker = broker

    def measure(self, test: str, site: Site, pids: Sequence[int], **options: object) -> dict[str, Any]:
        """The result of a test. Raises Trouble when there is none."""
        ids = ",".join(map(str, pids))
        done = self._run(test, site, {"pid": ids, "broker-pid": self._broker, **options})
        if done.returncode:
            raise Trouble(f"{test} failed: {(done.stderr or done.stdout).strip()}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def verify(self, site: Site, orders: int) -> list[str]:
        """What was wrong with all orders ever placed there."""
        done = self._run("verify", site, {"orders": orders})
        return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []

    def _run(self, test: str, site: Site, options: dict[str, object]) -> subprocess.CompletedProcess[str]:
        at = {"bootstrap": site.bootstrap, "prefix": site.prefix, "partitions": site.partitions}
        all_options = {**at, **options}
        words = [word for name, value in all_options.items() for word in (f"--{name}", str(value))]
        try:
            return subprocess.run(
                _tied([*self._command, test, *words]),
                cwd=ROOT,
                check=False,
                capture_output=True,
                text=True,
                timeout=_DRIVER_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise Trouble(f"{test} was not done within {_DRIVER_SECONDS:.0f} s") from error


def driver(folder: Path | None, broker: int) -> Driver:
    """The built driver of a folder of peers, or else our own; it watches the process of a broker, too."""
    built = folder / "driver/target/release/bench-driver" if folder else None
    if built is not None and built.exists():
        return Driver("the peers' driver", [str(built)], broker)
    return own_driver(broker)


def own_driver(broker: int) -> Driver:
    """The driver that comes with the benchmarks."""
    return Driver("our own driver", [sys.executable, "-m", "tests.benchmarks.driver"], broker)
