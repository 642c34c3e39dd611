"""The settings of a node's broker and of its Java virtual machine, as text and flags."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

HOST = "127.0.0.1"
DATA = "data"  # relative to the node's directory, so that no path has to be escaped
SCRATCH = "tmp"  # as DATA; unpacked native libraries, which a killed broker leaves behind


class Profile(StrEnum):
    """What the brokers are tuned for: a quick, small start, or throughput once warm."""

    DEV = "dev"
    BENCH = "bench"


@dataclass(frozen=True, slots=True)
class Node:
    """One combined broker and controller: its id from 1, and its two ports on the loopback address."""

    id: int
    port: int
    controller_port: int

    @property
    def address(self) -> str:
        """host:port for clients."""
        return f"{HOST}:{self.port}"


_JVM_FLAGS = {
    Profile.DEV: ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"),
    Profile.BENCH: ("-XX:+UseG1GC", "-Xms1g", "-Xmx1g"),
}


def jvm_flags(profile: Profile) -> tuple[str, ...]:
    """The flags before the class path; the log is silent but for errors, and no file is made outside of SCRATCH."""
    return (
        *_JVM_FLAGS[profile],
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        f"-Djava.io.tmpdir={SCRATCH}",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    )


def server_properties(node: Node, nodes: Sequence[Node]) -> str:
    """The server.properties of `node` in the cluster of all `nodes`, for the node's directory as working directory."""
    settings = _addresses(node, nodes) | _replication(len(nodes)) | _QUICK
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _addresses(node: Node, nodes: Sequence[Node]) -> dict[str, str]:
    broker = f"PLAINTEXT://{node.address}"
    return {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.voters": ",".join(f"{each.id}@{HOST}:{each.controller_port}" for each in nodes),
        "listeners": f"{broker},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": broker,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": DATA,
    }


def _replication(brokers: int) -> dict[str, str]:
    """Every topic on all brokers; a majority has to have a record before it counts as written."""
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


# A killed broker or client is noticed in seconds; nothing is made for load that a single computer doesn't have.
_QUICK = {
    "auto.create.topics.enable": "false",
    "broker.session.timeout.ms": "2000",
    "broker.heartbeat.interval.ms": "300",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "2000",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),  # bytes; the default takes 128 MiB of each broker's memory at once
}
