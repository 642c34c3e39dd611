"""Where partitions begin and end, and whether a group may go on from what it committed."""

from collections.abc import Iterable, Mapping

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from app.engine.errors import Refused

NONE_COMMITTED = -1001
Bounds = dict[tuple[str, int], tuple[int, int]]


class UnsafeStart(Refused):
    """Going on from here could lose or repeat decisions; the message says what to look at."""


def bounds(admin: AdminClient, partitions: Iterable[tuple[str, int]], timeout: float) -> Bounds:
    """The first offset and the end of each partition, open transactions included."""
    wanted = [TopicPartition(topic, number) for topic, number in partitions]
    if not wanted:
        return {}
    first = admin.list_offsets(dict.fromkeys(wanted, OffsetSpec.earliest()), request_timeout=timeout)
    end = admin.list_offsets(
        dict.fromkeys(wanted, OffsetSpec.latest()),
        isolation_level=IsolationLevel.READ_UNCOMMITTED,
        request_timeout=timeout,
    )
    return {(tp.topic, tp.partition): (first[tp].result().offset, end[tp].result().offset) for tp in wanted}


def starts(
    committed: Mapping[tuple[str, int], int], limits: Bounds, changelog: str, events: str
) -> dict[tuple[str, int], int]:
    """Where to begin to read. Raises UnsafeStart rather than begin with less state than was decided."""
    found: dict[tuple[str, int], int] = {}
    for partition in {number for _, number in committed}:
        own = {key: offset for key, offset in committed.items() if key[1] == partition}
        _check_state(own, limits, changelog, events, partition)
        found.update({key: _start(key, offset, limits[key]) for key, offset in own.items()})
    return found


def _check_state(
    own: Mapping[tuple[str, int], int], limits: Bounds, changelog: str, events: str, partition: int
) -> None:
    has_state = limits[changelog, partition][1] > 0
    if has_state and all(offset == NONE_COMMITTED for offset in own.values()):
        raise UnsafeStart(
            f"{changelog}[{partition}] has state, but the group has no committed offset for any input of partition "
            f"{partition}: give the group its offsets back, or begin with another prefix"
        )
    if not has_state and limits[events, partition][1] > 0:
        raise UnsafeStart(
            f"{events}[{partition}] has decisions, but {changelog}[{partition}] is empty: the state was lost, "
            "rebuild the changelog from the events before going on"
        )


def _start(key: tuple[str, int], committed: int, limit: tuple[int, int]) -> int:
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
