"""Writes one operation to the order's partition, and waits for the orchestrator's decision on it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from app.kafka_access.retriable import RETRIABLE
from app.operators.answer import Answer, of_dead_letter, of_event
from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline, reader
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.envelope import headers_of
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, TopicPartitionKey
from app.wire.writer import OutputRecord

_POLL_SECONDS = 0.5
_REPORT_SECONDS = 2.0  # for the client to report that the delivery timed out
_CHECK_FIRST = "check the order before you repeat the operation"


def operate(cluster: KafkaCluster, order_id: str, message_id: str, record: OutputRecord, wait: float) -> Answer:
    """Writes an operation and returns the answer to it within `wait` seconds; 0 returns as soon as it is written.

    Raises CommandFailed when it can't be written, or when no decision comes in time.
    """
    deadline = Deadline(wait or FIRST_ANSWER)
    brokers, answers = Brokers(cluster, deadline), (EVENTS, DEAD_LETTERS) if wait else ()
    number = partition_of(order_id.encode(), brokers.partitions(OPERATIONS, *answers))
    ends = brokers.ends(answers, [number]) if answers else {}
    with interruptible(order_id):
        _write(cluster, number, record, deadline)
        if not answers:
            return Answer(f"{order_id}: the operation is written", done=True)
        return _await(cluster, order_id, message_id, ends, deadline)


@contextmanager
def interruptible(order_id: str) -> Iterator[None]:
    """Ctrl-C ends the wait, not the operation. Raises CommandFailed then.

    One that comes inside a call of the client is reported by the interpreter as a SystemError at some later call.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemError) as error:
        if isinstance(error, SystemError) and not isinstance(error.__cause__, KeyboardInterrupt):
            raise
        raise CommandFailed(
            f"{order_id}: interrupted, but the operation may be written already: {_CHECK_FIRST}"
        ) from None


def _write(cluster: KafkaCluster, number: int, record: OutputRecord, deadline: Deadline) -> None:
    limit, failed = max(1.0, deadline.left()), []

    def note(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error.str())

    producer = Producer(cluster.client(**{"enable.idempotence": True, "delivery.timeout.ms": round(limit * 1000)}))
    topic, headers = cluster.full(record.topic), list(record.headers)
    producer.produce(topic, record.value, record.key, number, on_delivery=note, headers=headers)
    if producer.flush(limit + _REPORT_SECONDS) or failed:
        why = failed[0] if failed else f"no answer for {limit:.0f} s"
        raise CommandFailed(f"the operation may not be written to Kafka at {cluster.bootstrap} ({why}): {_CHECK_FIRST}")


def _await(
    cluster: KafkaCluster, order_id: str, message_id: str, ends: dict[TopicPartitionKey, int], deadline: Deadline
) -> Answer:
    with closing(Consumer(reader(cluster, **{"auto.offset.reset": "error"}))) as consumer:
        consumer.assign([TopicPartition(*partition, offset) for partition, offset in ends.items()])
        while left := deadline.left(_POLL_SECONDS):
            message = consumer.poll(left)
            if message is not None and _is_record(message):
                found = _answer(cluster, order_id, message_id, message)
                if found is not None:
                    return found
    raise CommandFailed(
        f"{order_id}: the operation is written, but no decision came within {deadline.seconds:g} s "
        f"(orchestrator down, or behind?): {_CHECK_FIRST}"
    )


def _is_record(message: Any) -> bool:
    error = message.error()
    if error is None or error.code() in RETRIABLE:
        return error is None
    raise CommandFailed(f"the operation is written, but its decision can't be read ({error.str()}): {_CHECK_FIRST}")


def _answer(cluster: KafkaCluster, order_id: str, message_id: str, message: Any) -> Answer | None:
    if message.key() != order_id.encode():
        return None
    if message.topic() == cluster.full(EVENTS.name):
        return of_event(order_id, message_id, message.value())
    return of_dead_letter(order_id, message_id, headers_of(message) or ())
