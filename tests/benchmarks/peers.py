"""The orchestrators that are measured, how each is started, and the drivers that measure them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.devkafka import tether
from app.devkafka.java import find_java
from tests.benchmarks.clients import Trouble
from tests.benchmarks.site import PARTITIONS, ROOT, Site

_STOP_SECONDS = 20.0
_DRIVER_SECONDS = 300.0
_LOG_TAIL = 2_000  # characters


@dataclass(frozen=True, slots=True)
class Peer:
    """An orchestrator: how to start it, how many orders warm it up, and whether it can follow the rates at all."""

    name: str
    command: Callable[[Site], list[str]]
    warm_up: int
    follows: bool = True


PRODUCT = Peer("order-saga", lambda _: [sys.executable, "-m", "topologies", "run"], warm_up=4_000)
TIMELESS = Peer(
    "without time-outs", lambda _: [sys.executable, "-m", "tests.benchmarks.timeless", "run"], warm_up=4_000
)
STOCK = Peer("stock", lambda _: _stock("1.0"), warm_up=1_000, follows=False)  # the library's own poll time-out
TUNED = Peer("tuned stock", lambda _: _stock("0.01"), warm_up=4_000)


def kafka_streams(folder: Path) -> Peer | None:
    """The Java peer of a folder of peers, with its best settings for latency; None where it wasn't built."""
    jar = folder / "kafka-streams/target/ks-saga-1.jar"
    if not jar.exists():
        return None

    def command(site: Site) -> list[str]:
        classes = f"{jar}:{jar.parent}/lib/*"
        where = ["--bootstrap", site.bootstrap, "--prefix", site.prefix, "--state-dir", str(site.directory / "state")]
        tuned = ["--threads", "1", "--commit-ms", "20", "--tuned", "true"]
        return [str(find_java(os.environ)), "-Xmx1g", "-cp", classes, "saga.Main", *where, *tuned]

    return Peer("Kafka Streams", command, warm_up=20_000)  # its first 15,000 take four times as long


def _stock(poll_seconds: str) -> list[str]:
    return [sys.executable, "-m", "tests.benchmarks.stock_saga", poll_seconds]


@contextmanager
def running(peer: Peer, site: Site) -> Iterator[int]:
    """The process id of the orchestrator, which ends with the block, and with this process. Its topics are made."""
    site.prepare()
    process = _start(peer.command(site), site)
    try:
        yield process.pid
        _check_alive(process)
    except Trouble as trouble:
        raise Trouble(f"{trouble}\nThe end of its log:\n{_tail(site.log)}") from trouble
    finally:
        _stop(process)


def _start(command: list[str], site: Site) -> subprocess.Popen[bytes]:
    with site.log.open("wb") as log:
        return subprocess.Popen(
            _tied(command),
            cwd=ROOT,
            env=site.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _tied(command: list[str]) -> list[str]:
    """The command of a program that ends with this process, whatever ends it."""
    return [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *command]


def _check_alive(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        raise Trouble("the orchestrator has ended by itself")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.send_signal(signal.SIGCONT)  # a driver that failed may have left it paused
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:].strip() or "(nothing)"


class Driver:
    """A program that loads an orchestrator and measures it; its options have the same names in every language."""

    def __init__(self, name: str, command: list[str], bootstrap: str, broker: int) -> None:
        self.name = name
        self._command = command
        self._bootstrap = bootstrap
        self._broker = broker

    def measure(self, test: str, prefix: str, pid: int, **options: object) -> dict[str, Any]:
        """The result of a test. Raises Trouble when there is none."""
        done = self._run(test, prefix, {"pid": pid, "broker-pid": self._broker, **options})
        if done.returncode:
            raise Trouble(f"{test} failed: {(done.stderr or done.stdout).strip()}")
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return result

    def verify(self, prefix: str, orders: int) -> list[str]:
        """What was wrong with all orders ever placed under the prefix."""
        done = self._run("verify", prefix, {"orders": orders})
        return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []

    def _run(self, test: str, prefix: str, options: dict[str, object]) -> subprocess.CompletedProcess[str]:
        all_options = {"bootstrap": self._bootstrap, "prefix": prefix, "partitions": PARTITIONS, **options}
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


def driver(folder: Path | None, bootstrap: str, broker: int) -> Driver:
    """The built driver of a folder of peers, or else our own."""
    built = folder / "driver/target/release/bench-driver" if folder else None
    if built is not None and built.exists():
        return Driver("the peers' driver", [str(built)], bootstrap, broker)
    return Driver("our own driver", [sys.executable, "-m", "tests.benchmarks.driver"], bootstrap, broker)
