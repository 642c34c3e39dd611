"""Which dead letters may be replayed, where to, and which were replayed already.

A replayed record carries its dead letter's position in a header, and that header is the only note of the replay: the
record and the note can't part, as they would if the note were written elsewhere. The topic of the dead letters would
be the other place, but the wire contract allows dead letters only there.

So before a dead letter is replayed, its target partition is read from where a replay could be at the earliest up to
its end. When the brokers have deleted a part of that already, nobody can know, and the dead letter is refused.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka.admin import OffsetSpec

from app.operators.brokers import Brokers
from app.operators.dead_letters.letter import FROM, DeadLetter
from app.operators.log_reader import LogReader
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.envelope import headers_of
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, Topic, TopicPartitionKey

_CLOCKS_MS = 3_600_000  # by so much may the clocks of pods and operators differ


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of one dead letter: a record for the `target`, or a sentence why not.

    `done` names the record of an earlier replay; `refusal` says why it can't be replayed.
    """

    letter: DeadLetter
    target: TopicPartitionKey = ("", -1)
    done: str = ""
    refusal: str = ""

    @property
    def sends(self) -> bool:
        """Whether a record is to be written."""
        return not self.done and not self.refusal


def mark_of(cluster: KafkaCluster, letter: DeadLetter) -> str:
    """The value of the header that says which dead letter a record is a replay of."""
    return f"{cluster.full(DEAD_LETTERS.name)}[{letter.position.partition}]@{letter.position.offset}"


def plan(
    cluster: KafkaCluster,
    brokers: Brokers,
    inputs: Iterable[Topic],
    letters: Sequence[DeadLetter],
    patience: float,
    *,
    again: bool = False,
) -> list[Plan]:
    """What becomes of each dead letter, in the order of their positions: so the records of an order keep theirs.

    A replay that became a dead letter is refused, unless `again`: else each repetition would add one more.
    Raises CommandFailed when a target can't be read to its end.
    """
    topics = list(inputs)
    partitions = brokers.partitions(*topics)
    names = frozenset(cluster.full(topic.name) for topic in topics)
    in_order = sorted(letters, key=lambda letter: (letter.position.partition, letter.position.offset))
    aimed = [_aimed(letter, names, partitions, again=again) for letter in in_order]
    starts = _Starts(brokers, {each.target for each in aimed if each.sends})
    checked = [_checked(each, starts) if each.sends else each for each in aimed]
    earlier = _earlier_replays(cluster, checked, starts, patience)
    return [replace(each, done=earlier.get(mark_of(cluster, each.letter), "")) for each in checked]


def _aimed(letter: DeadLetter, inputs: frozenset[str], partitions: int, *, again: bool) -> Plan:
    """The partition of the key, as for any record of that topic; without a key, the partition that it came from."""
    if letter.truncated:
        return Plan(letter, refusal="it is truncated: have its sender write the whole record again")
    if letter.replayed_from and not again:
        return Plan(letter, refusal=f"it is a replay of {letter.replayed_from}: name its position to replay it again")
    if letter.origin is None or not 0 <= letter.origin.partition < partitions:
        return Plan(letter, refusal="its headers don't say where it came from")
    if letter.origin.topic not in inputs:
        return Plan(letter, refusal=f"it came from {letter.origin.topic}, which is no input of this saga")
    number = letter.origin.partition if letter.key is None else partition_of(letter.key, partitions)
    return Plan(letter, (letter.origin.topic, number))


class _Starts:
    """Where a replay of a dead letter can be at the earliest, in each target partition."""

    def __init__(self, brokers: Brokers, targets: Iterable[TopicPartitionKey]) -> None:
        self._brokers = brokers
        keys = list(targets)
        self.first = brokers.offsets(dict.fromkeys(keys, OffsetSpec.earliest()))
        self.ends = brokers.offsets(dict.fromkeys(keys, OffsetSpec.latest()))

    def of(self, each: Plan) -> int | None:
        """The offset to read from; None when the brokers have deleted records from there on, or never had them."""
        origin, key = each.letter.origin, each.target
        if origin is None:
            return None
        if key == (origin.topic, origin.partition):
            start = origin.offset + 1  # a replay comes after the record itself
            return start if self.first[key] <= start <= self.ends[key] else None
        return self._by_time(each)

    def _by_time(self, each: Plan) -> int | None:
        key = each.target
        if self.first[key] == 0:
            return 0
        since = OffsetSpec.for_timestamp(max(0, each.letter.timestamp_ms - _CLOCKS_MS))
        start = self._brokers.offsets({key: since})[key]
        if start < 0:
            start = self.ends[key]
        return start if start > self.first[key] else None


def _checked(each: Plan, starts: _Starts) -> Plan:
    if starts.of(each) is not None:
        return each
    topic, number = each.target
    return replace(each, refusal=f"nobody can know whether it was replayed: {topic}[{number}] has lost records since")


def _earlier_replays(
    cluster: KafkaCluster, plans: Iterable[Plan], starts: _Starts, patience: float
) -> Mapping[str, str]:
    """Where each dead letter's replay is, by its mark."""
    marks: dict[str, str] = {}

    def take(message: Any) -> None:
        mark = dict(headers_of(message) or ()).get(FROM)
        if mark is not None:
            where = f"{message.topic()}[{message.partition()}]@{message.offset()}"
            marks.setdefault(mark.decode(errors="replace"), where)

    firsts: dict[TopicPartitionKey, int] = {}
    for key, start in _starts(plans, starts):
        firsts[key] = min(firsts.get(key, start), start)
    spans = {key: (start, starts.ends[key]) for key, start in firsts.items()}
    unread = LogReader(cluster, take, patience).read(spans)
    if unread:
        names = ", ".join(f"{topic}[{number}]" for topic, number in unread)
        raise CommandFailed(
            f"{names} can't be read to its end (open transaction?), where an earlier replay may be: nothing is replayed"
        )
    return marks


def _starts(plans: Iterable[Plan], starts: _Starts) -> Iterator[tuple[TopicPartitionKey, int]]:
    for each in plans:
        start = starts.of(each) if each.sends else None
        if start is not None:
            yield each.target, start


def chunks(plans: Sequence[Plan], length: int) -> Iterator[Sequence[Plan]]:
    """The plans that send, in pieces of a bounded length."""
    sending = [each for each in plans if each.sends]
    for start in range(0, len(sending), length):
        yield sending[start : start + length]
