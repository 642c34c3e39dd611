"""One operation: written to the order's partition, and waited for until the orchestrator has answered it."""

from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from app.operators.answer import Answer, of_dead_letter, of_event
from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline, Place, reader
from app.operators.trouble import Trouble
from app.ops.site import Site
from app.reach.passing import PASSING
from app.wire.envelope import headers_of
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS
from app.wire.writer import Out

_POLL_S = 0.5
_LAST_WORD_S = 2.0  # for the client to say that the time to deliver is over
_LOOK_FIRST = "see what became of the order before giving it again"


def operate(site: Site, order_id: str, message_id: str, record: Out, wait: float) -> Answer:
    """Writes an operation and says what came of it, within `wait` seconds; with 0 it says that it was written.

    Raises Trouble when it can't be written, or when nothing comes of it in time.
    """
    deadline = Deadline(wait or FIRST_ANSWER)
    brokers, answers = Brokers(site, deadline), (EVENTS, DEAD_LETTERS) if wait else ()
    number = partition_of(order_id.encode(), brokers.partitions(OPERATIONS, *answers))
    ends = brokers.ends(answers, [number]) if answers else {}
    try:
        _write(site, number, record, deadline)
        if not answers:
            return Answer(f"{order_id}: the operation is written", done=True)
        return _await(site, order_id, message_id, ends, deadline)
    except KeyboardInterrupt:
        raise Trouble(f"{order_id}: interrupted, but the operation may be written already: {_LOOK_FIRST}") from None


def _write(site: Site, number: int, record: Out, deadline: Deadline) -> None:
    limit, failed = max(1.0, deadline.left()), []

    def note(error: Any, _: Any) -> None:
        if error is not None:
            failed.append(error.str())

    producer = Producer(site.client(**{"enable.idempotence": True, "delivery.timeout.ms": round(limit * 1000)}))
    topic, headers = site.full(record.topic), list(record.headers)
    producer.produce(topic, record.value, record.key, number, on_delivery=note, headers=headers)
    if producer.flush(limit + _LAST_WORD_S) or failed:
        why = failed[0] if failed else f"no answer for {limit:.0f} s"
        raise Trouble(f"Kafka at {site.bootstrap} may not have taken the operation ({why}): {_LOOK_FIRST}")


def _await(site: Site, order_id: str, message_id: str, ends: dict[Place, int], deadline: Deadline) -> Answer:
    with closing(Consumer(reader(site, **{"auto.offset.reset": "error"}))) as consumer:
        consumer.assign([TopicPartition(*place, offset) for place, offset in ends.items()])
        while left := deadline.left(_POLL_S):
            message = consumer.poll(left)
            if message is not None and _is_record(message):
                found = _answer(site, order_id, message_id, message)
                if found is not None:
                    return found
    raise Trouble(
        f"{order_id}: the operation is written, but nothing came of it within {deadline.seconds:g} s: "
        f"the orchestrator may be down or behind; {_LOOK_FIRST}"
    )


def _is_record(message: Any) -> bool:
    error = message.error()
    if error is None or error.code() in PASSING:
        return error is None
    raise Trouble(f"the operation is written, but not what came of it can be read ({error.str()}): {_LOOK_FIRST}")


def _answer(site: Site, order_id: str, message_id: str, message: Any) -> Answer | None:
    if message.key() != order_id.encode():
        return None
    if message.topic() == site.full(EVENTS.name):
        return of_event(order_id, message_id, message.value())
    return of_dead_letter(order_id, message_id, headers_of(message) or ())
