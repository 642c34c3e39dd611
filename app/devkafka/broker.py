"""One broker process: starts, kills and pauses it, and asks whether it serves clients."""

import signal
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from app.devkafka.errors import DevKafkaError
from app.devkafka.launcher import Launcher, Process
from app.devkafka.properties import HOST, Node

READY_LIMIT = 120.0  # seconds; on a busy computer a start takes up to 70
STOP_LIMIT = 30.0  # seconds
_PORT_PAUSE = 0.05  # seconds between two connection attempts
_LOG_TAIL = 2_000  # characters of the log in an error


class Broker:
    """A broker of a LocalKafka; its data outlives its process."""

    def __init__(self, node: Node, directory: Path, command: Sequence[str], launcher: Launcher) -> None:
        self.id = node.id
        self.address = node.address
        self.directory = directory
        self.log = directory / "broker.log"
        self._port = node.port
        self._command = command
        self._launcher = launcher
        self._process: Process | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; DevKafkaError when the broker isn't running."""
        return self._running().pid

    def launch(self) -> None:
        """Starts the process, unless it runs, and returns at once."""
        if not self.alive:
            self._process = self._launcher.launch(self._command, self.directory, self.log)

    def start(self) -> None:
        """Starts the process and waits until it serves clients; DevKafkaError when it ends or takes over 120 s."""
        self.launch()
        await_ready([self])

    def kill(self) -> None:
        """Sends SIGKILL, and waits until the process is gone."""
        process = self._running()
        process.kill()
        process.wait()

    def terminate(self) -> None:
        """Sends SIGTERM, and waits until the process is gone; kills it after 30 s."""
        self.ask_to_end()
        self.await_end()

    def ask_to_end(self) -> None:
        """Sends SIGTERM, to a paused process too; returns at once."""
        process = self._running()
        process.terminate()
        process.send_signal(signal.SIGCONT)

    def await_end(self) -> None:
        """Waits until the process is gone; kills it after 30 s."""
        if self._process is not None:
            try:
                self._process.wait(STOP_LIMIT)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def pause(self) -> None:
        """Sends SIGSTOP: connections stay open, requests get no answer."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Sends SIGCONT, which ends a pause."""
        self._running().send_signal(signal.SIGCONT)

    def await_port(self, deadline: float) -> None:
        """Waits until its port accepts connections; DevKafkaError when the process ends, or at the deadline."""
        while not _accepts(self._port):
            self.check_alive()
            if time.monotonic() > deadline:
                raise DevKafkaError(f"Kafka broker {self.id} opened no port in time.{self._log_tail()}")
            time.sleep(_PORT_PAUSE)

    def await_metadata(self, others: set[int], deadline: float) -> None:
        """Waits until it lists these broker ids as alive; DevKafkaError when the process ends, or at the deadline."""
        from app.devkafka.metadata import lister

        listed = lister(self.address)
        while not others <= listed():
            self.check_alive()
            if time.monotonic() > deadline:
                raise DevKafkaError(f"Kafka broker {self.id} doesn't serve in time.{self._log_tail()}")

    def check_alive(self) -> None:
        """Raises DevKafkaError, with the end of the log, unless the process runs."""
        if not self.alive:
            code = "none" if self._process is None else self._process.returncode
            raise DevKafkaError(f"Kafka broker {self.id} has ended (exit code {code}).{self._log_tail()}")

    def _running(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            raise DevKafkaError(f"Kafka broker {self.id} isn't running; start it first.")
        return self._process

    def _log_tail(self) -> str:
        text = self.log.read_bytes().decode(errors="replace")[-_LOG_TAIL:].strip()
        return f" Its log ends:\n{text}" if text else " Its log is empty."


def await_ready(brokers: Iterable[Broker]) -> None:
    """Waits until each of the brokers serves clients and knows all the others; limit 120 s."""
    deadline = time.monotonic() + READY_LIMIT
    expected = list(brokers)
    for broker in expected:
        broker.await_port(deadline)
    for broker in expected:
        broker.await_metadata({each.id for each in expected}, deadline)


def _accepts(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0
