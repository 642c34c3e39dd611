"""The brokers that a broker knows as alive; in a module of its own because the client library is slow to import."""

from collections.abc import Callable

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

_ANSWER_LIMIT = 1.0  # seconds


def lister(address: str) -> Callable[[], set[int]]:
    """A function that asks the broker at `address` for the ids of the brokers alive; empty while it doesn't answer."""
    backoff = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100}
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0, **backoff})

    def ids() -> set[int]:
        try:
            return set(admin.list_topics(timeout=_ANSWER_LIMIT).brokers)
        except KafkaException:
            return set()

    return ids
