"""What passes by itself when brokers restart, and what makes a client see that it has passed."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

_PAUSE_SECONDS = 0.1

PASSING = frozenset(
    (
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,  # just created: that it exists is known by then
        KafkaError._TIMED_OUT,
    )
)
"""Codes of answers after which the same question is worth asking again."""

FRESH = {"metadata.max.age.ms": 1000}
"""For clients that ask for offsets. A client goes on asking whom it knows as a partition's leader, in which term it
knows it, for a quarter of an hour, although it is told each time that this is over: every restart of a broker would
leave it without answers for as long."""


def patiently(ask: Callable[[], T], left: Callable[[], float]) -> T:
    """Asks until the answer is not one that passes by itself, or no seconds are `left`; then raises KafkaException."""
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in PASSING or left() <= 0:
                raise
        time.sleep(_PAUSE_SECONDS)
