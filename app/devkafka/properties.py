"""A node's server.properties, and the flags of its Java virtual machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

HOST = "127.0.0.1"
DATA = "data"  # relative to the node's directory, so that no path needs escaping
SCRATCH = "tmp"  # relative, too; unpacked native libraries, which a killed broker leaves behind


class Profile(StrEnum):
    """The tuning of the brokers: a quick start with little memory, or throughput once warm."""

    DEV = "dev"
    BENCH = "bench"


@dataclass(frozen=True, slots=True)
class Node:
    """A combined broker and controller: its id from 1, and its two ports on the loopback address."""

    id: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """A further listener of a broker; `advertised_port` is what clients are sent to, such as a proxy's port.

    `settings` are this listener's own, without the prefix `listener.name.…` (`ssl.keystore.location`, ...).
    """

    name: str
    port: int
    advertised_port: int
    protocol: str = "PLAINTEXT"
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extra:
    """Further listeners of a node, and settings that override the usual ones."""

    listeners: tuple[Listener, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)


NOTHING_EXTRA = Extra()

_JVM_FLAGS = {
    Profile.DEV: ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"),
    Profile.BENCH: ("-XX:+UseG1GC", "-Xms1g", "-Xmx1g"),
}


def jvm_flags(profile: Profile) -> tuple[str, ...]:
    """The flags before the class path; only errors are logged, and no file is made outside of SCRATCH."""
    return (
        *_JVM_FLAGS[profile],
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={SCRATCH}",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    )


def server_properties(node: Node, nodes: Sequence[Node], extra: Extra = NOTHING_EXTRA) -> str:
    """The server.properties of `node` in the cluster of all `nodes`, for the node's directory as working directory."""
    settings = _addresses(node, nodes, extra.listeners) | _replication(len(nodes)) | _QUICK
    for listener in extra.listeners:
        settings |= {f"listener.name.{listener.name.lower()}.{key}": value for key, value in listener.settings.items()}
    settings |= extra.settings
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _addresses(node: Node, nodes: Sequence[Node], more: Sequence[Listener]) -> dict[str, str]:
    broker = f"PLAINTEXT://{node.address}"
    controller = f"CONTROLLER://{HOST}:{node.controller_port}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.voters": ",".join(f"{each.id}@{HOST}:{each.controller_port}" for each in nodes),
        "listeners": ",".join([broker, controller, *(f"{each.name}://{HOST}:{each.port}" for each in more)]),
        "advertised.listeners": ",".join([broker, *(f"{each.name}://{HOST}:{each.advertised_port}" for each in more)]),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", "PLAINTEXT:PLAINTEXT", *(f"{each.name}:{each.protocol}" for each in more)]
        ),
        "log.dirs": DATA,
    }


def _replication(brokers: int) -> dict[str, str]:
    """Every topic is replicated to all brokers; a write is acknowledged once a majority has it."""
    replicas, in_sync = str(brokers), str(brokers // 2 + 1)
    return {
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }


# A killed broker or client is noticed within seconds; internal topics are sized for a single computer's load.
_QUICK = {
    "auto.create.topics.enable": "false",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),  # bytes; the default reserves 128 MiB in each broker
}
