"""A recording, read once: inputs by where they are, and the story of each saga."""

from collections import defaultdict
from dataclasses import dataclass, field

from app.audit.journey import Journey
from app.audit.messages import DeadLetter, Decision, Message, Object, content, dead_letter, decision, message, text
from app.audit.path import walk
from app.audit.recording import Coordinates, Place, Record, Recording
from app.audit.terms import COMMANDS, INPUTS, REPLIES, TOPICS
from app.wire.partition import partition_of
from app.wire.topics import DEAD_LETTERS, EVENTS, OUTCOMES, STATE


@dataclass(slots=True)
class Story:
    """All that was written of one saga, by the keys of the records; replies without those in the dead letters."""

    saga_id: str
    partition: int
    decisions: list[Decision] = field(default_factory=list)
    commands: list[Message] = field(default_factory=list)
    outcomes: list[Message] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    journey: Journey = field(default_factory=lambda: Journey(""))
    start: Message | None = None
    """The order that started the saga."""
    order: Object | None = None
    """What that order says."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks look at; `settled` when all was quiet, so that what is missing is missing for good."""

    recording: Recording
    settled: bool
    inputs: dict[Coordinates, Message]
    decisions: list[Decision]
    dead_letters: list[DeadLetter]
    stories: dict[str, Story]
    states: dict[str, Record]
    """The last record of each key of the changelog."""
    homes: dict[bytes, int] = field(default_factory=dict)

    def whole(self, partition: int) -> bool:
        """Nothing of this partition was deleted in any topic that is not compacted."""
        return all(self.kept(topic, partition) for topic in TOPICS if topic != STATE.name)

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

    def whole_stories(self) -> list[Story]:
        """The sagas of which nothing was deleted."""
        whole = {partition: self.whole(partition) for partition in range(self.recording.partitions)}
        return [story for story in self.stories.values() if whole[story.partition]]

    def told_stories(self) -> list[Story]:
        """The sagas whose events are all there, whatever else was deleted."""
        return [story for story in self.stories.values() if self.kept(EVENTS.name, story.partition)]


def gather(recording: Recording, *, settled: bool) -> Evidence:
    """Reads a recording."""
    by_topic: dict[str, list[Record]] = defaultdict(list)
    for record in recording.records:
        by_topic[record.topic].append(record)
    inputs = {record.coordinates: message(record) for topic in INPUTS for record in by_topic[topic]}
    decisions = [decision(record, recording.prefix) for record in by_topic[EVENTS.name]]
    dead_letters = [dead_letter(record, recording.prefix) for record in by_topic[DEAD_LETTERS.name]]
    states = {text(record.key): record for record in by_topic[STATE.name]}
    evidence = Evidence(recording, settled, inputs, decisions, dead_letters, {}, states)
    _tell(evidence, [message(record) for topic in (*COMMANDS, OUTCOMES.name) for record in by_topic[topic]])
    return evidence


def _tell(evidence: Evidence, outputs: list[Message]) -> None:
    dead = {letter.origin for letter in evidence.dead_letters}
    for decided in evidence.decisions:
        _story(evidence, decided.record).decisions.append(decided)
    for output in outputs:
        story = _story(evidence, output.record)
        (story.outcomes if output.record.topic == OUTCOMES.name else story.commands).append(output)
    for coordinates, given in evidence.inputs.items():
        story_of_input = evidence.stories.get(given.saga_id)
        if story_of_input and coordinates[0] in REPLIES and coordinates not in dead:
            story_of_input.replies.append(given)
    for story in evidence.stories.values():
        story.journey = walk(story.saga_id, story.decisions, evidence.inputs)
        _find_start(evidence, story)


def _story(evidence: Evidence, record: Record) -> Story:
    saga_id = text(record.key)
    story = evidence.stories.get(saga_id)
    if story is None:
        story = evidence.stories[saga_id] = Story(saga_id, evidence.home(record.key or b""))
    return story


def _find_start(evidence: Evidence, story: Story) -> None:
    started = (d for d in story.decisions if any(event.get("type") == "saga.started" for event in d.events))
    first = next(started, None)
    if first and first.cause:
        story.start = evidence.inputs.get(first.cause)
        story.order = content(story.start.body) if story.start else None
