"""One broker process: started, killed, paused, and asked whether it serves."""

import signal
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from app.devkafka.errors import DevKafkaError
from app.devkafka.launcher import Launcher, Process
from app.devkafka.properties import HOST, Node

READY_LIMIT = 120.0  # seconds; a busy computer took 70
STOP_LIMIT = 30.0  # seconds
_PORT_PAUSE = 0.05  # seconds between two tries of the port
_LOG_TAIL = 2_000  # characters of the log in an error


class Broker:
    """A broker of a LocalKafka; its data outlives the process.."""

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
        """Whether its process runs, paused or not."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id; DevKafkaError when it isn't running."""
        return self._running().pid

    def launch(self) -> None:
        """Starts the process and returns at once; one that runs goes on."""
        if not self.alive:
            self._process = self._launcher.launch(self._command, self.directory, self.log)

    def start(self) -> None:
        """Starts the process and returns when it serves clients; DevKafkaError when it ends or takes over 120 s."""
        self.launch()
        await_ready([self])

    def kill(self) -> None:
        """SIGKILL; returns when the process is gone."""
        process = self._running()
        process.kill()
        process.wait()

    def terminate(self) -> None:
        """Asks it to shut down in order, and returns when the process is gone; after 30 s it is killed."""
        self.ask_to_end()
        self.await_end()

    def ask_to_end(self) -> None:
        """SIGTERM, also to a paused one; returns at once."""
        process = self._running()
        process.terminate()
        process.send_signal(signal.SIGCONT)

    def await_end(self) -> None:
        """Returns when the process is gone; after 30 s it is killed."""
        if self._process is not None:
            try:
                self._process.wait(STOP_LIMIT)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: its connections stay open and nothing answers."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: ends a pause."""
        self._running().send_signal(signal.SIGCONT)

    def await_port(self, deadline: float) -> None:
        """Returns when something accepts connections on its port; DevKafkaError when it ends or at the deadline."""
        while not _accepts(self._port):
            self.check_alive()
            if time.monotonic() > deadline:
                raise DevKafkaError(f"Kafka broker {self.id} opened no port in time.{self._log_tail()}")
            time.sleep(_PORT_PAUSE)

    def await_metadata(self, others: set[int], deadline: float) -> None:
        """Returns when it lists all these broker ids as alive; DevKafkaError when it ends or at the deadline."""
        from app.devkafka.metadata import lister

        listed = lister(self.address)
        while not others <= listed():
            self.check_alive()
            if time.monotonic() > deadline:
                raise DevKafkaError(f"Kafka broker {self.id} doesn't serve in time.{self._log_tail()}")

    def check_alive(self) -> None:
        """Raises DevKafkaError with the end of its log unless its process runs."""
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
    """Returns when each of the brokers serves clients and knows all the others; limit 120 s."""
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
