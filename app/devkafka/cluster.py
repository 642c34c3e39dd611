"""A cluster of one or three brokers that starts and ends with a `with` block and leaves nothing behind."""

import atexit
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from app.devkafka.broker import Broker, await_ready
from app.devkafka.cache import Installation, Say, install
from app.devkafka.data_dirs import kept_directory, temporary_directory
from app.devkafka.errors import DevKafkaError
from app.devkafka.launcher import Launcher
from app.devkafka.ports import free_ports
from app.devkafka.properties import NOTHING_EXTRA, Extra, Node, Profile, jvm_flags, server_properties
from app.devkafka.storage import cluster_id_of, prepare

_PROPERTIES = "server.properties"


def _say_nothing(line: str) -> None:
    """Discards progress lines."""


class LocalKafka:
    """A real Kafka for a `with` block: 1 or 3 brokers on 127.0.0.1, on the given `ports`, then on free ones.

    Without a directory the data is temporary. A given directory is kept, and a later start continues with its data.
    `extra` adds listeners and settings to brokers, by their ids from 1.
    """

    def __init__(
        self,
        brokers: int = 1,
        directory: Path | None = None,
        profile: Profile | str = Profile.DEV,
        ports: Sequence[int] = (),
        say: Say = _say_nothing,
        extra: Mapping[int, Extra] | None = None,
    ) -> None:
        if brokers not in (1, 3):
            raise DevKafkaError(f"Kafka runs here with 1 or 3 brokers, not with {brokers}.")
        if len(ports) > brokers:
            raise DevKafkaError(f"{len(ports)} ports were given for {brokers} brokers; give one for each at most.")
        self.brokers: tuple[Broker, ...] = ()
        self._size = brokers
        self._directory = directory
        self._profile = Profile(profile)
        self._ports = ports
        self._say = say
        self._extra = extra or {}
        self._ending = ExitStack()
        self._owner = os.getpid()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """host:port of every broker, separated by commas; DevKafkaError before the start and after the stop."""
        if not self.brokers:
            raise DevKafkaError("This Kafka isn't running; start it first.")
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Installs Kafka if needed, starts the brokers and waits until all serve; on an error none is left running."""
        if self.brokers:
            raise DevKafkaError("This Kafka runs already.")
        installation = install(self._say)
        nodes = self._choose_nodes()
        with ExitStack() as ending:
            brokers = self._make_brokers(installation, nodes, ending)
            ending.callback(self._end, brokers)
            for broker in brokers:
                broker.launch()
            await_ready(brokers)
            self.brokers, self._owner, self._ending = brokers, os.getpid(), ending.pop_all()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Ends the brokers (by SIGTERM if their data is kept) and removes a temporary directory; idempotent."""
        if os.getpid() != self._owner:  # a fork of the process that owns the brokers
            return
        atexit.unregister(self.stop)
        self.brokers = ()
        self._ending.close()

    def await_ready(self) -> None:
        """Waits until every running broker serves clients and knows the other running ones; limit 120 s."""
        await_ready([broker for broker in self.brokers if broker.alive])

    def check_alive(self) -> None:
        """Raises DevKafkaError, with the end of the log, if a broker's process has ended."""
        for broker in self.brokers:
            broker.check_alive()

    def _choose_nodes(self) -> list[Node]:
        ports = free_ports(2 * self._size, self._ports)
        clients, controllers = ports[: self._size], ports[self._size :]
        return [Node(number, *pair) for number, pair in enumerate(zip(clients, controllers, strict=True), 1)]

    def _make_brokers(self, installation: Installation, nodes: list[Node], ending: ExitStack) -> tuple[Broker, ...]:
        root = ending.enter_context(kept_directory(self._directory) if self._directory else temporary_directory())
        cluster_id = cluster_id_of(root, len(nodes))
        launcher = Launcher()
        ending.callback(launcher.close)
        brokers = []
        for node in nodes:
            directory = root / f"node-{node.id}"
            prepare(directory, node, cluster_id, installation.template)
            (directory / _PROPERTIES).write_text(
                server_properties(node, nodes, self._extra.get(node.id, NOTHING_EXTRA)), encoding="ascii"
            )
            brokers.append(Broker(node, directory, _command(installation, self._profile), launcher))
        return tuple(brokers)

    def _end(self, brokers: Sequence[Broker]) -> None:
        running = [broker for broker in brokers if broker.alive]
        for broker in running:
            if self._directory is None:
                broker.kill()
            else:
                broker.ask_to_end()
        for broker in running:
            broker.await_end()


def _command(installation: Installation, profile: Profile) -> list[str]:
    main = ["-cp", installation.classpath, "kafka.Kafka", _PROPERTIES]
    return [str(installation.java), *jvm_flags(profile), *main]
