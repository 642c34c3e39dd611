"""A recording, read once: inputs by where they are, and the stories of the sagas."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.audit.lives import Story, life_at, lives
from app.audit.messages import DeadLetter, Decision, Message, dead_letter, decision, message, text
from app.audit.recording import Coordinates, Place, Record, Recording
from app.audit.terms import Terms
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, EVENTS, OUTCOMES, STATE


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at; `settled` when all was quiet, so that what is missing is missing for good."""

    recording: Recording
    terms: Terms
    settled: bool
    inputs: dict[Coordinates, Message]
    decisions: list[Decision]
    dead_letters: list[DeadLetter]
    states: dict[str, Record]
    """The last record of each key of the changelog."""
    deleted: list[Record]
    """The tombstones in the changelog."""
    now_ms: int
    """When the recording was taken, or at least the last time that stands in it, in ms since 1970."""
    by_id: dict[str, list[Story]] = field(default_factory=dict)
    """The stories of each order id, in order: one, but for ids that were placed again when they were forgotten."""
    homes: dict[bytes, int] = field(default_factory=dict)

    @property
    def stories(self) -> Iterator[Story]:
        """Every saga."""
        return (story for stories in self.by_id.values() for story in stories)

    def whole(self, partition: int) -> bool:
        """Nothing of this partition was deleted in any topic that is not compacted."""
        return all(self.kept(topic, partition) for topic in self.terms.topics if topic != STATE.name)

    def kept(self, topic: str, partition: int) -> bool:
        """Nothing of this partition was deleted in this topic."""
        return self.first((topic, partition)) == 0

    def first(self, place: Place) -> int:
        """The first offset that is kept in a partition."""
        span = self.recording.spans.get(place)
        return span.first if span else 0

    def home(self, key: bytes) -> int:
        """The partition to which a key belongs."""
        partition = self.homes.get(key)
        if partition is None:
            partition = self.homes[key] = partition_of(key, self.recording.partitions)
        return partition

    def knows(self, saga_id: str) -> bool:
        """There is a history of this id."""
        return any(story.decisions for story in self.by_id.get(saga_id, ()))

    def whole_stories(self) -> list[Story]:
        """The sagas of which nothing was deleted."""
        whole = {partition: self.whole(partition) for partition in range(self.recording.partitions)}
        return [story for story in self.stories if whole[story.partition] and not story.unknown]

    def kept_stories(self) -> list[Story]:
        """The sagas whose events are all there, whatever else was deleted."""
        return [story for story in self.stories if self.kept(EVENTS.name, story.partition)]

    def told_stories(self) -> list[Story]:
        """Those of them whose version is known."""
        return [story for story in self.kept_stories() if not story.unknown]


def gather(recording: Recording, terms: Terms, *, settled: bool) -> Evidence:
    """Reads a recording."""
    by_topic: dict[str, list[Record]] = defaultdict(list)
    for record in recording.records:
        by_topic[record.topic].append(record)
    inputs = {record.coordinates: message(record) for topic in terms.inputs for record in by_topic[topic]}
    decisions = [decision(record, recording.prefix) for record in by_topic[EVENTS.name]]
    dead_letters = [dead_letter(record, recording.prefix) for record in by_topic[DEAD_LETTERS.name]]
    states = {text(record.key): record for record in by_topic[STATE.name]}
    deleted = [record for record in by_topic[STATE.name] if record.value is None]
    last_ms = max((record.timestamp_ms for topic in (EVENTS, STATE) for record in by_topic[topic.name]), default=0)
    now_ms = max(recording.taken_ms, last_ms)
    evidence = Evidence(recording, terms, settled, inputs, decisions, dead_letters, states, deleted, now_ms)
    sent = [message(record) for topic in (*terms.commands, OUTCOMES.name) for record in by_topic[topic]]
    _tell(evidence, sent)
    return evidence


def _tell(evidence: Evidence, sent: list[Message]) -> None:
    decided: dict[str, list[Decision]] = defaultdict(list)
    for one in evidence.decisions:
        decided[one.saga_id].append(one)
    keys = {
        **{one.saga_id: one.record.key for one in evidence.decisions},
        **{out.saga_id: out.record.key for out in sent},
    }
    for saga_id, key in keys.items():
        evidence.by_id[saga_id] = lives(saga_id, evidence.home(key or b""), decided[saga_id])
    for told in sent:
        story = life_at(evidence.by_id[told.saga_id], told.headers.get("ce_time", ""))
        (story.outcomes if told.record.topic == OUTCOMES.name else story.commands).append(told)
    _share_out(evidence)
    for story in evidence.stories:
        story.read(evidence.terms, evidence.inputs)


def _share_out(evidence: Evidence) -> None:
    """Each reply to the story that took it in, or else to the last one of its key."""
    dead = {letter.origin for letter in evidence.dead_letters}
    took = {decision.cause: story for story in evidence.stories for decision in story.decisions if decision.cause}
    for coordinates, given in evidence.inputs.items():
        stories = evidence.by_id.get(given.saga_id)
        if stories and coordinates[0] in evidence.terms.replies and coordinates not in dead:
            story = took.get(coordinates)
            (story if story and story.saga_id == given.saga_id else stories[-1]).replies.append(given)
