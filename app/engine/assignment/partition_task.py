"""One partition of this pod: its queue of records, its state, its positions, and its part of the open transaction."""

from collections.abc import Mapping

from confluent_kafka import Message, TopicPartition

from app.engine.assignment.read_frontier import ReadFrontier
from app.engine.kafka.transactions import TransactionalProducer
from app.engine.state.store import Changes, PartitionStore
from app.wire.envelope import Headers

InputRecord = tuple[Message, Headers | None, int]
"""A record, its headers (the client builds them anew on each call), and its size in bytes."""


class PartitionTask:
    """All that belongs to one partition number of the input topics, from its assignment to its revocation.

    `records` were read and not decided yet. `positions` are, by topic, the offsets after what was decided; `ends` the
    offsets at which the client last saw an input end. While `in_transaction`, its store is the committing thread's.
    """

    __slots__ = (
        "_changelog_end", "_changes", "_decided_at", "_to_commit", "ends", "frontier", "in_transaction", "number",
        "positions", "records", "store",
    )  # fmt: skip

    def __init__(self, number: int, store: PartitionStore, positions: Mapping[str, int]) -> None:
        self.number = number
        self.store = store
        self.records: list[InputRecord] = []
        self.positions = dict(positions)
        self.ends: dict[str, int] = {}
        self.frontier = ReadFrontier()
        self.in_transaction = False
        self._to_commit: dict[str, int] = {}
        self._changes: Changes | None = None
        self._changelog_end = 0
        self._decided_at = 0.0

    def positions_past_markers(self) -> dict[str, int]:
        """The ends of inputs in which only control records are left: the position may be committed past them."""
        positions = self.positions
        ends = {topic: end for topic, end in self.ends.items() if end > positions.get(topic, end)}
        if ends and self.records:
            waiting = {message.topic() for message, _, _ in self.records}
            return {topic: end for topic, end in ends.items() if topic not in waiting}
        return ends

    def note_decided(self, positions: Mapping[str, int], now: float = 0.0) -> None:
        """The open transaction commits these positions, which were decided now (monotonic seconds)."""
        self.positions.update(positions)
        self._to_commit.update(positions)
        self._decided_at = now

    def is_quiet(self, now: float, seconds: float) -> bool:
        """Whether no record was decided for so long."""
        return now - self._decided_at > seconds

    def note_touched(self) -> None:
        """Re-commits an unchanged offset, so that a batch of timers alone is fenced by the group's generation too."""
        if not self._to_commit:
            topic, position = next(iter(self.positions.items()))
            self._to_commit[topic] = position

    def add_changelog(self, producer: TransactionalProducer, changelog: str) -> None:
        """Adds what changed in the store to the transaction."""
        changed = self._changes = self.store.take_changes()
        for key, value in changed.documents[:-1]:
            producer.produce(changelog, key, value, (), self.number)
        for key, value in changed.documents[-1:]:
            producer.produce(changelog, key, value, (), self.number, self._note_changelog_end)

    def join_transaction(self, metadata: str) -> list[TopicPartition]:
        """What the open transaction commits of this partition; from now on the task is in that transaction."""
        self.in_transaction = True
        committed, self._to_commit = self._to_commit, {}
        return [TopicPartition(topic, self.number, offset, metadata) for topic, offset in committed.items()]

    def save_committed(self) -> None:
        """Writes to disk what the transaction has committed; on the committing thread."""
        changed, self._changes = self._changes, None
        if changed:
            self.store.save(changed, self._changelog_end if changed.documents else self.store.offset)

    def _note_changelog_end(self, error: object, message: Message) -> None:
        if error is None:
            self._changelog_end = message.offset() + 1
