"""What moves, and what stands still: lag, open transactions, silent participants, stuck orders."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition
from confluent_kafka.admin import OffsetSpec

from app.operators.brokers import Brokers, Deadline, reader
from app.operators.doctor.cluster_checks import some
from app.operators.doctor.finding import Finding, error, ok, warning
from app.operators.doctor.local_checks import age
from app.operators.lag.partition_lag import PartitionLag, total
from app.operators.stuck import StuckSagas, StuckStep
from app.ops.kafka_cluster import KafkaCluster
from app.saga.definition import Step
from app.wire.envelope import headers_of
from app.wire.rfc3339 import rfc3339
from app.wire.terminal_text import printable
from app.wire.topics import TopicPartitionKey

_SLOW_SECONDS = 20.0  # age of the first record that is not decided
_OPEN_SECONDS = 3.0  # a pod's transaction takes milliseconds
_HANGING_SECONDS = 900.0  # transaction.max.timeout.ms of the brokers: they end every transaction by then
_SILENT_SECONDS = 15.0  # a command without any later reply of its participant
_POLL_SECONDS = 0.1


def lag_findings(partitions: Iterable[PartitionLag], now_ms: int) -> Iterator[Finding]:
    """The lag by input topic; records that retention deleted before they were decided."""
    by_topic: dict[str, list[PartitionLag]] = defaultdict(list)
    for each in partitions:
        by_topic[each.topic].append(each)
    fact = ", ".join(f"{topic} {_lag_text(found, now_ms)}" for topic, found in by_topic.items())
    every = [each for found in by_topic.values() for each in found]
    oldest = max((each.seconds(now_ms) or 0.0 for each in every), default=0.0)
    remedy = "see `saga lag --watch 2`: does it shrink? Else look at the pods' logs, or add pods"
    yield warning("lag", fact, remedy) if oldest > _SLOW_SECONDS else ok("lag", fact)
    deleted = [f"{each.topic}[{each.partition}] ({each.deleted:,})" for each in every if each.deleted]
    if deleted:
        fact = f"retention deleted records before they were decided: {some(deleted)}"
        yield error("lag", fact, "set a longer retention.ms, and have these orders placed again")


def _lag_text(found: Iterable[PartitionLag], now_ms: int) -> str:
    sums = total(found, now_ms)
    since = f" (the oldest {age(sums.seconds)})" if sums.lag and sums.seconds is not None else ""
    held = f" + {sums.held_back:,} held back" if sums.held_back else ""
    return f"{sums.lag:,}{since}{held}"


Held = tuple[int | None, str]
"""The time (ms since 1970) of the first record in an open transaction, None if unknown; its `ce_source`, if any."""


def transaction_findings(held: Mapping[TopicPartitionKey, Held], bootstrap: str, now_ms: int) -> Iterator[Finding]:
    """Partitions that an open transaction holds up; one that stays open is somebody's who died or forgot it."""
    if not held:
        yield ok("transactions", "none holds a partition up")
        return
    since_ms = min((since for since, _ in held.values() if since is not None), default=None)
    open_seconds = None if since_ms is None else max(0.0, (now_ms - since_ms) / 1000)
    names = some(_held_text(key, each, now_ms) for key, each in held.items())
    if open_seconds is not None and open_seconds <= _OPEN_SECONDS:
        yield ok("transactions", f"a short one is open on {len(held)} partition{'s' * (len(held) != 1)}")
        return
    fact = f"open, and nobody can read what is behind: {names}"
    if open_seconds is not None and open_seconds > _HANGING_SECONDS:
        remedy = (
            f"it hangs: `kafka-transactions.sh --bootstrap-server {bootstrap} find-hanging --broker-id ID`, `abort`"
        )
        yield error("transactions", fact, remedy)
        return
    (topic, number), *_ = held
    ask = (
        f"kafka-transactions.sh --bootstrap-server {bootstrap} describe-producers --topic {topic} --partition {number}"
    )
    yield warning("transactions", fact, f"the brokers end it after its time-out; whose it is tells `{ask}`")


def _held_text(key: TopicPartitionKey, held: Held, now_ms: int) -> str:
    since_ms, source = held
    since = "for an unknown time" if since_ms is None else f"for {age(max(0.0, (now_ms - since_ms) / 1000))}"
    sender = f", from {printable(source)}" if source else ""
    return f"{key[0]}[{key[1]}] {since}{sender}"


def open_transactions(
    cluster: KafkaCluster, brokers: Brokers, group: str, keys: Iterable[TopicPartitionKey], deadline: Deadline
) -> dict[TopicPartitionKey, Held]:
    """The partitions whose high watermark is beyond their last stable offset."""
    latest = dict.fromkeys(keys, OffsetSpec.latest())
    stable = brokers.offsets(latest, committed=True)
    ends = brokers.offsets(latest)
    held = {key: offset for key, offset in stable.items() if ends[key] > offset}
    first = _first_open(cluster, group, held, deadline)
    return {key: first.get(key, (None, "")) for key in held}


def _first_open(
    cluster: KafkaCluster, group: str, held: Mapping[TopicPartitionKey, int], deadline: Deadline
) -> dict[TopicPartitionKey, Held]:
    """The first record beyond the last stable offset: it began the oldest open transaction."""
    found: dict[TopicPartitionKey, Held] = {}
    if not held:
        return found
    config = {"group.id": group, "isolation.level": "read_uncommitted", "auto.offset.reset": "earliest"}
    with closing(Consumer(reader(cluster, **config, **{"fetch.wait.max.ms": 20}))) as consumer:
        consumer.assign([TopicPartition(*key, offset) for key, offset in held.items()])
        denied: set[TopicPartitionKey] = set()
        while len(found) + len(denied) < len(held) and deadline.left():
            for message in consumer.consume(100, _POLL_SECONDS):
                key = (message.topic(), message.partition())
                error = message.error()
                if error is not None and error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                    denied.update(each for each in held if each[0] == message.topic())
                elif error is None and key not in found:
                    found[key] = message.timestamp()[1], _source(message)
                    consumer.pause([TopicPartition(*key)])
    return found


def _source(message: Any) -> str:
    """The sender's name by the envelope's `ce_source`, shortened; it says who, and nothing of the content."""
    return (dict(headers_of(message) or ()).get("ce_source") or b"").decode(errors="replace")[:80]


def participant_findings(
    brokers: Brokers, steps: Iterable[Step], prefix: str, keys: Collection[TopicPartitionKey], now_ms: int
) -> Iterator[Finding]:
    """Participants that had a command for a while, and have not replied to anything since."""
    silent = False
    for step in steps:
        since_ms = _unanswered_since(brokers, prefix, step, keys)
        waited = 0.0 if since_ms is None else (now_ms - since_ms) / 1000
        if waited > _SILENT_SECONDS:
            silent = True
            fact = f"{step.name} has not replied for {age(waited)}, though it has commands"
            yield warning("participants", fact, f"is its service running, and reading {prefix}{step.commands_topic}?")
    if not silent:
        yield ok("participants", "each has replied since its latest commands, or within 15 s")


def _unanswered_since(brokers: Brokers, prefix: str, step: Step, keys: Collection[TopicPartitionKey]) -> int | None:
    """The time (ms since 1970) of the first command after the participant's latest reply; None without one."""
    newest = {key: OffsetSpec.max_timestamp() for key in keys if key[0] == prefix + step.replies_topic}
    replies = [each.timestamp for each in brokers.positions(newest).values() if each.offset >= 0]
    after = OffsetSpec.for_timestamp(max(replies, default=-1) + 1)
    commands = {key: after for key in keys if key[0] == prefix + step.commands_topic}
    times = [each.timestamp for each in brokers.positions(commands).values() if each.offset >= 0]
    return min(times, default=None)


def stuck_findings(sagas: StuckSagas, steps: list[StuckStep], unread: list[int]) -> Iterator[Finding]:
    """How many orders wait for an operator, and since when; and what could not be read."""
    orders = {step.order_id for step in steps}
    if orders:
        fact = f"{len(orders):,} order{'s' * (len(orders) != 1)}, the oldest since {rfc3339(steps[0].since_ms)}"
        yield error("stuck", fact, "see `saga stuck`, then `saga retry`, `saga skip` or `saga compensate`")
    if sagas.unreadable:
        fact = f"{sagas.unreadable:,} states were written by another version, and may be stuck"
        yield warning("stuck", fact, "ask with the version that the pods run")
    if unread:
        names = some(map(str, unread))
        fact = f"partition {names} of saga.state was not read to its end (open transaction, or a lot to read)"
        yield warning("stuck", fact, "ask `saga stuck`, which takes its time")
    if not orders and not sagas.unreadable and not unread:
        yield ok("stuck", f"no order; {sagas.documents:,} states read")
