"""A recording, indexed for the checks: inputs by coordinates, and one history per saga."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.audit.history.histories import SagaHistory, histories, history_at
from app.audit.recording.recording import Coordinates, Record, Recording
from app.audit.recording.records import (
    DeadLetter,
    Decision,
    Message,
    as_text,
    read_dead_letter,
    read_decision,
    read_message,
)
from app.audit.spec import SagaSpec
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, EVENTS, OUTCOMES, STATE, TopicPartitionKey


@dataclass(frozen=True, slots=True)
class Evidence:
    """The input of all checks. `settled`: the run has come to rest, so a missing record will not come any more."""

    recording: Recording
    spec: SagaSpec
    settled: bool
    inputs: dict[Coordinates, Message]
    decisions: list[Decision]
    dead_letters: list[DeadLetter]
    states: dict[str, Record]
    """The last changelog record of each key."""
    tombstones: list[Record]
    """All tombstones in the changelog."""
    now_ms: int
    """When the recording was taken, or its newest timestamp in events and changelog if later; ms since 1970."""
    by_id: dict[str, list[SagaHistory]] = field(default_factory=dict)
    """The histories of each order id, in order: one per life."""
    owning_partitions: dict[bytes, int] = field(default_factory=dict)

    @property
    def histories(self) -> Iterator[SagaHistory]:
        """Every saga."""
        return (history for histories in self.by_id.values() for history in histories)

    def is_complete(self, partition: int) -> bool:
        """No record of this partition number was deleted, in any topic that is not compacted."""
        return all(self.is_kept(topic, partition) for topic in self.spec.topics if topic != STATE.name)

    def is_kept(self, topic: str, partition: int) -> bool:
        """No record of this partition was deleted."""
        return self.first_offset((topic, partition)) == 0

    def first_offset(self, partition: TopicPartitionKey) -> int:
        """The first offset that a partition still has."""
        span = self.recording.spans.get(partition)
        return span.first if span else 0

    def owning_partition(self, key: bytes) -> int:
        """The partition that a record key belongs to."""
        partition = self.owning_partitions.get(key)
        if partition is None:
            partition = self.owning_partitions[key] = partition_of(key, self.recording.partitions)
        return partition

    def has_decisions(self, saga_id: str) -> bool:
        """At least one decision has this id."""
        return any(history.decisions for history in self.by_id.get(saga_id, ()))

    def complete_histories(self) -> list[SagaHistory]:
        """The sagas in complete partitions, without those that can't be judged."""
        complete = {partition: self.is_complete(partition) for partition in range(self.recording.partitions)}
        return [h for h in self.histories if complete[h.partition] and not h.ended_in_unknown_version]

    def kept_histories(self) -> list[SagaHistory]:
        """The sagas whose events are all kept; records of other topics may be deleted."""
        return [history for history in self.histories if self.is_kept(EVENTS.name, history.partition)]

    def judged_histories(self) -> list[SagaHistory]:
        """The sagas whose events are all kept, without those that can't be judged."""
        return [history for history in self.kept_histories() if not history.ended_in_unknown_version]


def gather(recording: Recording, spec: SagaSpec, *, settled: bool) -> Evidence:
    """Indexes a recording, and replays every saga in it."""
    by_topic: dict[str, list[Record]] = defaultdict(list)
    for record in recording.records:
        by_topic[record.topic].append(record)
    inputs = {record.coordinates: read_message(record) for topic in spec.inputs for record in by_topic[topic]}
    decisions = [read_decision(record, recording.prefix) for record in by_topic[EVENTS.name]]
    dead_letters = [read_dead_letter(record, recording.prefix) for record in by_topic[DEAD_LETTERS.name]]
    states = {as_text(record.key): record for record in by_topic[STATE.name]}
    tombstones = [record for record in by_topic[STATE.name] if record.value is None]
    last_ms = max((record.timestamp_ms for topic in (EVENTS, STATE) for record in by_topic[topic.name]), default=0)
    now_ms = max(recording.taken_ms, last_ms)
    evidence = Evidence(recording, spec, settled, inputs, decisions, dead_letters, states, tombstones, now_ms)
    sent = [read_message(record) for topic in (*spec.command_topics, OUTCOMES.name) for record in by_topic[topic]]
    _build_histories(evidence, sent)
    return evidence


def _build_histories(evidence: Evidence, sent: list[Message]) -> None:
    """`sent` are the commands and outcomes."""
    decided: dict[str, list[Decision]] = defaultdict(list)
    for decision in evidence.decisions:
        decided[decision.saga_id].append(decision)
    keys = {
        **{decision.saga_id: decision.record.key for decision in evidence.decisions},
        **{message.saga_id: message.record.key for message in sent},
    }
    for saga_id, key in keys.items():
        evidence.by_id[saga_id] = histories(saga_id, evidence.owning_partition(key or b""), decided[saga_id])
    for message in sent:
        history = history_at(evidence.by_id[message.saga_id], message.headers.get("ce_time", ""))
        (history.outcomes if message.record.topic == OUTCOMES.name else history.commands).append(message)
    _assign_replies(evidence)
    for history in evidence.histories:
        history.replay_decisions(evidence.spec, evidence.inputs)


def _assign_replies(evidence: Evidence) -> None:
    """Each reply belongs to the history that it caused a decision in, or else to the last life of its key."""
    dead = {letter.origin for letter in evidence.dead_letters}
    decided_in = {
        decision.cause: history for history in evidence.histories for decision in history.decisions if decision.cause
    }
    for coordinates, reply in evidence.inputs.items():
        histories = evidence.by_id.get(reply.saga_id)
        if histories and coordinates[0] in evidence.spec.reply_topics and coordinates not in dead:
            history = decided_in.get(coordinates)
            (history if history and history.saga_id == reply.saga_id else histories[-1]).replies.append(reply)
