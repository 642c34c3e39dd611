"""The brokers: which they are, whether all replicas are in sync, and what their clocks say."""

import time
from collections.abc import Callable, Iterable, Iterator

import confluent_kafka
from confluent_kafka import KafkaException
from confluent_kafka.admin import ClusterMetadata, OffsetSpec, PartitionMetadata

from app.operators.brokers import Brokers, Deadline
from app.operators.doctor.finding import Finding, error, ok, unknown, warning
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.topics import Topics

_CLOCK_TOPIC = "__transaction_state"
_CLOCK_SECONDS = 1.0  # of difference, from which on it is worth a look


def broker_findings(brokers: Brokers) -> Iterator[Finding]:
    """The cluster's id, controller and brokers."""
    found = brokers.cluster()
    names = ", ".join(f"{node.id} at {node.host}:{node.port}" for node in found.nodes)
    controller = "none" if found.controller is None else found.controller.id
    client = f"librdkafka {confluent_kafka.libversion()[0]}, which can't ask for their version"
    yield ok("brokers", f"{names}; cluster {found.cluster_id}, controller {controller}; asked with {client}")


def replica_findings(metadata: ClusterMetadata, topics: Topics) -> Iterator[Finding]:
    """Partitions of our topics without a leader, or with replicas that are out of sync."""
    names = [topics.full(topic) for topic in topics.all]
    partitions = [(name, each) for name in names if name in metadata.topics for each in _partitions(metadata, name)]
    leaderless = [f"{name}[{each.id}]" for name, each in partitions if each.leader < 0]
    behind = [f"{name}[{each.id}]" for name, each in partitions if len(each.isrs) < len(each.replicas)]
    look = "look at the brokers that should have them"
    if leaderless:
        yield error("replicas", f"without a leader: {some(leaderless)}", look, passes=True)
    if behind:
        yield warning("replicas", f"out of sync replicas of {some(behind)}", look)
    if partitions and not leaderless and not behind:
        least = min(len(each.replicas) for _, each in partitions)
        yield ok("replicas", f"all of {len(partitions)} partitions in sync, {least} replica{'s' * (least != 1)} each")


def _partitions(metadata: ClusterMetadata, name: str) -> list[PartitionMetadata]:
    return sorted(metadata.topics[name].partitions.values(), key=lambda each: each.id)


def some(names: Iterable[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    every = list(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def clock_findings(
    cluster: KafkaCluster, write: Callable[[], Iterable[Finding]], deadline: Deadline
) -> Iterator[Finding]:
    """The findings of `write`, then what the brokers' clock says that was read while it wrote.

    Records on our topics carry the writer's time. The brokers stamp `__transaction_state` with their own: `write` must
    initialise a transactional id, which adds a record to it. Its time lies between the local times before and after.
    """
    before = time.time()
    findings = list(write())
    yield from findings
    if any(finding.exit_code for finding in findings):
        yield unknown("clock", "not measurable: that needs the permission to begin transactions")
        return
    try:
        latest = _latest_stamp(Brokers(cluster, deadline))
    except (CommandFailed, KafkaException):
        latest = None
    yield clock_finding(latest, before, time.time())


def _latest_stamp(brokers: Brokers) -> float | None:
    topic = brokers.metadata().topics.get(_CLOCK_TOPIC)
    if topic is None or not topic.partitions:
        return None
    keys = [(_CLOCK_TOPIC, number) for number in topic.partitions]
    found = brokers.positions(dict.fromkeys(keys, OffsetSpec.max_timestamp())).values()
    stamps = [each.timestamp for each in found if each.offset >= 0]
    return max(stamps, default=0) / 1000 or None


def clock_finding(latest: float | None, before: float, after: float) -> Finding:
    """Compares the brokers' latest stamp with the local times (seconds since 1970) around its writing."""
    if latest is None:
        why = f"this user can't read the times of {_CLOCK_TOPIC}, the only topic that brokers stamp themselves"
        return unknown("clock", f"not measurable: {why}")
    ahead, behind = latest - after, before - latest
    remedy = "synchronise both clocks (NTP): ages and time-outs are compared across computers"
    if ahead > _CLOCK_SECONDS:
        return warning("clock", f"a broker's clock is ahead of this computer's by {ahead:.1f} s at least", remedy)
    if behind > _CLOCK_SECONDS:
        return warning("clock", f"the brokers' clock is behind this computer's by {behind:.1f} s at least", remedy)
    within = max(after - latest, latest - before, 0.0)
    return ok("clock", f"the brokers' clock differs from this computer's by less than {within + 0.1:.1f} s")
