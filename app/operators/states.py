"""Reads `saga.state` to its end."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition

from app.operators.brokers import FIRST_ANSWER, Brokers, Deadline, reader
from app.operators.trouble import Trouble
from app.ops.site import Site
from app.reach.passing import PASSING
from app.wire.topics import STATE

_BATCH = 10_000
_POLL_S = 0.1
Take = Callable[[bytes, bytes | None], None]


def read_all(site: Site, take: Take, patience: float) -> list[int]:
    """Gives each committed record that is there now to `take`: (key, value), those of one key in their order.

    Returns the partitions whose end was not reached, as nothing came of them for `patience` seconds: a transaction on
    them is open. Raises Trouble when they can't be read at all.
    """
    brokers = Brokers(site, Deadline(min(patience, FIRST_ANSWER)))
    ends = brokers.ends([STATE], range(brokers.partitions(STATE)))
    config = {"auto.offset.reset": "earliest", "enable.partition.eof": True, "fetch.wait.max.ms": 20}
    with closing(Consumer(reader(site, **config))) as consumer:
        left = {place: end for place, end in ends.items() if end > 0}
        consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in left])
        waited = Deadline(patience)
        while left and waited.left():
            for message in consumer.consume(_BATCH, _POLL_S):
                place, position = (message.topic(), message.partition()), _position(message, take)
                if position is None or place not in left:  # one that is through may go on growing
                    continue
                waited = Deadline(patience)
                if position >= left[place]:
                    del left[place]
        return sorted(number for _, number in left)


def _position(message: Any, take: Take) -> int | None:
    """How far the message says that its partition is read; it is taken in if it is a record."""
    error = message.error()
    if error is None:
        if message.key() is not None:
            take(message.key(), message.value())
        return int(message.offset()) + 1
    if error.code() == KafkaError._PARTITION_EOF:  # its offset steps over the markers of transactions
        return int(message.offset())
    if error.code() in PASSING:
        return None
    raise Trouble(f"{STATE.name} can't be read: {error.str()}")
