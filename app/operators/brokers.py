"""Where the topics are, and what is known of them before anything is read or written."""

import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import ClusterMetadata, OffsetSpec

from app.operators.trouble import Trouble
from app.ops.site import Site
from app.reach.contact import Contact, Silent, Unanswered
from app.reach.passing import patiently
from app.wire.topics import Topic

T = TypeVar("T")
Place = tuple[str, int]
"""A topic's real name, and a partition of it."""

FIRST_ANSWER = 10.0  # seconds that any broker may take for it
_RETRY_S = 0.1


class Deadline:
    """How many seconds are left; 0.0 when none."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self, at_most: float = float("inf")) -> float:
        """Seconds from now, `at_most` so many."""
        return max(0.0, min(at_most, self._end - time.monotonic()))


def reader(site: Site, **more: Any) -> dict[str, Any]:
    """The settings of a consumer which reads what is committed, and is assigned its places by hand."""
    return site.client(
        **{
            "group.id": site.full("saga-operators"),  # the client wants one; nothing joins it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            **more,
        }
    )


class Brokers:
    """The brokers of a site, asked until the deadline. Raises Trouble when they don't answer, or lack what it takes."""

    def __init__(self, site: Site, deadline: Deadline) -> None:
        self._site = site
        self._deadline = deadline
        self._contact = _contact(site)
        self._admin = self._contact.admin

    def partitions(self, *topics: Topic) -> int:
        """How many partitions each of the topics has."""
        names = [self._site.full(topic.name) for topic in topics]
        there = self._patiently(lambda: self._there(names))
        counts = {name: len(there[name].partitions) for name in names}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise Trouble(f"all topics need the same number of partitions, but there are {told}: set them right first")
        return counts[names[0]]

    def ends(self, topics: Iterable[Topic], numbers: Iterable[int]) -> dict[Place, int]:
        """The offset behind the last record, committed or not, of these partitions of each topic."""
        places = [TopicPartition(self._site.full(topic.name), number) for topic in topics for number in numbers]

        def ask() -> dict[Place, int]:
            found = self._admin.list_offsets(
                dict.fromkeys(places, OffsetSpec.latest()),
                isolation_level=IsolationLevel.READ_UNCOMMITTED,
                request_timeout=self._limit(),
            )
            return {(place.topic, place.partition): future.result().offset for place, future in found.items()}

        return self._patiently(ask)

    def _there(self, names: list[str]) -> dict[str, Any]:
        there: dict[str, Any] = self._answer().topics
        missing = [name for name in names if name not in there or not there[name].partitions]
        if missing:
            at = f"Kafka at {self._site.bootstrap} has no topic {', '.join(missing)}"
            raise Trouble(f"{at}: create it first, or set another --prefix")
        return there

    def _answer(self) -> ClusterMetadata:
        try:
            return self._contact.first_answer(self._limit(), local=self._site.access.local)
        except Silent as error:
            raise self._silence() from error
        except Unanswered as error:
            raise Trouble(str(error)) from error

    def _patiently(self, ask: Callable[[], T]) -> T:
        try:
            return patiently(ask, self._deadline.left)
        except KafkaException as error:
            raise self._silent(error) from error

    def _limit(self) -> float:
        return max(_RETRY_S, self._deadline.left(FIRST_ANSWER))

    def _silent(self, error: KafkaException) -> Trouble:
        if error.args[0].code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN):
            return self._silence()
        return Trouble(f"Kafka at {self._site.bootstrap} refuses: {error.args[0].str()}")

    def _silence(self) -> Trouble:
        return Trouble(f"no Kafka answers at {self._site.bootstrap}: start one there, or set another with --bootstrap")


def _contact(site: Site) -> Contact:
    try:
        return Contact(site.client())
    except Unanswered as error:
        raise Trouble(str(error)) from error
