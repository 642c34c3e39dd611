"""Errors that pass by themselves while brokers restart, and the client setting that lets them pass soon."""

import time
from collections.abc import Callable
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

T = TypeVar("T")

_PAUSE_SECONDS = 0.1

RETRIABLE = frozenset(
    (
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.UNKNOWN_TOPIC_OR_PART,  # just created: callers know already that the topic exists
        KafkaError._TIMED_OUT,
    )
)
"""Error codes after which the same request is worth repeating."""

FAST_METADATA = {"metadata.max.age.ms": 1000}
"""For clients that ask for offsets. An admin client keeps asking the leader, with the leader epoch, that it has cached
for a quarter of an hour, although each answer says that they are stale: after every restart of a broker it would get
no offsets for as long."""


def retry_while(ask: Callable[[], T], left: Callable[[], float]) -> T:
    """Repeats `ask` while it fails with a retriable error and seconds are `left`. Raises its last KafkaException."""
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in RETRIABLE or left() <= 0:
                raise
        time.sleep(_PAUSE_SECONDS)
