"""Where partitions begin and end, and whether a group may go on from what it committed."""

import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.engine.errors import Refused
from app.reach.passing import patiently

log = logging.getLogger(__name__)

NONE_COMMITTED = -1001
_KNOWN_SECONDS = 2.0  # until all brokers know of a topic that was just made
_OURS = "saga of "
_MARK = re.compile(_OURS + r"(?P<partitions>\d+) partitions, state in (?P<id>.+)")
Place = tuple[str, int]
Bounds = dict[Place, tuple[int, int]]
Answer = TypeVar("Answer")


class UnsafeStart(Refused):
    """Going on from here could lose or repeat decisions; the message says what to look at."""


def bounds(admin: AdminClient, partitions: Iterable[Place], timeout: float) -> Bounds:
    """The first offset and the end of each partition, open transactions included."""
    wanted = [TopicPartition(topic, number) for topic, number in partitions]
    if not wanted:
        return {}
    asked = partial(admin.list_offsets, request_timeout=timeout)

    def ask() -> Bounds:
        first = asked(dict.fromkeys(wanted, OffsetSpec.earliest()))
        end = asked(dict.fromkeys(wanted, OffsetSpec.latest()), isolation_level=IsolationLevel.READ_UNCOMMITTED)
        return {(tp.topic, tp.partition): (first[tp].result().offset, end[tp].result().offset) for tp in wanted}

    return _patiently(ask, timeout)


def _patiently(ask: Callable[[], Answer], timeout: float) -> Answer:
    """Asks again while a partition has no leader, as for a moment after it was made or its leader was lost."""
    end = time.monotonic() + timeout
    return patiently(ask, lambda: end - time.monotonic())


def partitions_of(admin: AdminClient, topics: Iterable[str], timeout: float) -> int:
    """How many partitions the topics have. Raises UnsafeStart unless all have the same number."""

    def ask() -> dict[str, int]:
        there = admin.list_topics(timeout=timeout).topics
        for topic in topics:
            if topic not in there:
                raise KafkaException(KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART, f"{topic} is missing"))
        return {topic: len(there[topic].partitions) for topic in topics}

    counts = _patiently(ask, _KNOWN_SECONDS)
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{topic} {count}" for topic, count in sorted(counts.items()))
        raise UnsafeStart(f"all topics need the same number of partitions, for life, but have: {listed}")
    return counts.popitem()[1]


@dataclass(frozen=True, slots=True)
class Mark:
    """What is committed beside each offset: it tells our offsets from those that somebody set by hand, and what the
    topics were when they were read."""

    partitions: int
    changelog_id: str

    def __str__(self) -> str:
        """As it is committed."""
        return f"{_OURS}{self.partitions} partitions, state in {self.changelog_id}"


def check_marks(found: Iterable[TopicPartition], mark: Mark, changelog: str) -> None:
    """Tells of offsets that were set by hand. Raises UnsafeStart when the topics were others when they were read."""
    for at in found:
        told: Any = at.metadata or ""
        ours = _MARK.fullmatch(told)
        if ours is not None and int(ours["partitions"]) != mark.partitions:
            raise UnsafeStart(
                f"{at.topic} had {ours['partitions']} partitions when it was read last, and has another number now: "
                "orders would be looked for where they are not; begin with another prefix, and end with this one as "
                "it was"
            )
        if ours is not None and ours["id"] != mark.changelog_id:
            raise UnsafeStart(
                f"{changelog} was made anew since the group read last: what it had of sagas under way is lost; "
                "rebuild it from the events, then set the group's offsets by hand to what they are"
            )
        if ours is None and at.offset != NONE_COMMITTED:
            log.warning(
                "an offset was set by hand: what is before it is not read, and what is behind it is, be it again",
                extra={"topic": at.topic, "partition": at.partition, "offset": at.offset},
            )


def identity(admin: AdminClient, topic: str, timeout: float) -> str:
    """What tells a topic from every other, those of its name on other brokers or made later among them."""
    future = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout)[topic]
    return str(future.result().topic_id)


def part_of(topic_id: str, partition: int) -> str:
    """What tells one of its partitions from every other, for which a folder may be put in place by mistake.

    The group is no part of it: two that kept the same partition would keep the same.
    """
    return f"{topic_id}[{partition}]"


def starts(
    committed: Mapping[Place, int], limits: Bounds, changelog: str, events: str, decided: Callable[[int], bool]
) -> dict[Place, int]:
    """Where to begin to read. Raises UnsafeStart rather than begin with less state than was decided.

    `decided` tells whether a partition of the events has a committed record: limits count aborted ones too.
    """
    found: dict[Place, int] = {}
    for partition in {number for _, number in committed}:
        own = {key: offset for key, offset in committed.items() if key[1] == partition}
        _check_state(own, limits, changelog, partition)
        _check_history(limits, changelog, events, partition, decided)
        found.update({key: _start(key, offset, limits[key]) for key, offset in own.items()})
    return found


def _check_state(own: Mapping[Place, int], limits: Bounds, changelog: str, partition: int) -> None:
    has_state = limits[changelog, partition][1] > 0
    if has_state and all(offset == NONE_COMMITTED for offset in own.values()):
        raise UnsafeStart(
            f"{changelog}[{partition}] has state, but the group has no committed offset for any input of partition "
            f"{partition}: give the group its offsets back, or begin with another prefix"
        )
    for (topic, _), offset in own.items() if has_state else ():
        if offset == NONE_COMMITTED and limits[topic, partition][1] > 0:
            raise UnsafeStart(
                f"{topic}[{partition}] has records, but the group has no committed offset for it, as it has for other "
                "inputs: set it by hand, to the beginning if this input is new"
            )


def _check_history(limits: Bounds, changelog: str, events: str, partition: int, decided: Callable[[int], bool]) -> None:
    if limits[changelog, partition][1] == 0 and limits[events, partition][1] > 0 and decided(partition):
        raise UnsafeStart(
            f"{events}[{partition}] has decisions, but {changelog}[{partition}] is empty: the state was lost, "
            "rebuild the changelog from the events before going on"
        )


def _start(key: Place, committed: int, limit: tuple[int, int]) -> int:
    first, end = limit
    if committed == NONE_COMMITTED:
        return first
    if committed < first:
        raise UnsafeStart(
            f"{key[0]}[{key[1]}] was deleted up to {first}, but the group has read it up to {committed} only: "
            "records are lost; if that is known, set the group's offset by hand, and keep this topic for longer"
        )
    if committed > end:
        raise UnsafeStart(
            f"{key[0]}[{key[1]}] ends at {end}, but the group has read it up to {committed}: "
            "the topic was made anew; set the group's offset by hand"
        )
    return committed
