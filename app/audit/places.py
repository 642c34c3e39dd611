"""INV-10, 13, 21 and 23: where things lie, who wrote them, and what is kept."""

from collections.abc import Callable, Iterator
from typing import Any

from app.audit.evidence import Evidence
from app.audit.journey import Phase
from app.audit.lives import Story
from app.audit.messages import Object, loads, text
from app.audit.recording import Place, Record
from app.audit.statements import Violation
from app.wire.topics import EVENTS, STATE

Fold = Callable[[list[Object]], bytes]
"""The decisions of one saga, as their JSON objects in order, to the bytes of its state."""

_STATES = {
    Phase.FORWARD: "running",
    Phase.BACKWARD: "compensating",
    Phase.COMPLETED: "completed",
    Phase.ROLLED_BACK: "rolled_back",
}


def in_place(evidence: Evidence) -> Iterator[Violation]:
    """INV-13, at any time: keys, partitions and ids of what the orchestrator wrote."""
    for record in evidence.recording.records:
        if record.topic in evidence.terms.outputs or record.topic == STATE.name:
            yield from _misplaced(evidence, record)
    for decision in evidence.decisions:
        if decision.value.get("saga_id") != decision.saga_id:
            yield Violation("INV-13", decision.saga_id, f"{_where(decision.record)}: its saga_id is not its key")
        elif decision.cause and decision.cause[1] != decision.record.partition:
            yield Violation("INV-13", decision.saga_id, f"decision {decision.seq}: its cause lies in another partition")
    for story in evidence.stories:
        for message in (*story.commands, *story.outcomes):
            if message.body.get("order_id") != story.saga_id:
                yield Violation("INV-13", story.saga_id, f"{_where(message.record)}: its order_id is not its key")


def dead_letters_in_place(evidence: Evidence) -> Iterator[Violation]:
    """INV-13, at any time: a dead letter lies where its key belongs, or where its record lay."""
    for letter in evidence.dead_letters:
        homes = {evidence.home(letter.record.key or b""), letter.origin[1] if letter.origin else -1}
        if letter.record.partition not in homes:
            yield Violation(
                "INV-13", letter.saga_id, f"{_where(letter.record)}: neither its key nor its origin belong there"
            )


def _misplaced(evidence: Evidence, record: Record) -> Iterator[Violation]:
    if not record.key:
        yield Violation("INV-13", None, f"{_where(record)}: it has no key")
    elif evidence.home(record.key) != record.partition:
        right = evidence.home(record.key)
        yield Violation("INV-13", text(record.key), f"{_where(record)}: its key belongs to partition {right}")


def _where(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def single_writer(evidence: Evidence) -> Iterator[Violation]:
    """INV-21, at any time: what two writers of one partition would have mixed up."""
    last: dict[tuple[int, Place], int] = {}
    for decision in evidence.decisions:
        if decision.cause:
            log = (decision.record.partition, decision.cause[:2])
            if decision.cause[2] < last.get(log, 0):
                before = f"after one caused by {last[log]}"
                yield Violation(
                    "INV-21",
                    decision.saga_id,
                    f"decision {decision.seq}: caused by offset {decision.cause[2]} {before}",
                )
            last[log] = max(decision.cause[2], last.get(log, 0))


def quiescent(evidence: Evidence) -> Iterator[Violation]:
    """INV-23, when all is quiet."""
    for (topic, partition), span in evidence.recording.spans.items():
        if topic in evidence.terms.topics and span.stable != span.high:
            yield Violation(
                "INV-23", None, f"{topic}/{partition}: stable up to {span.stable}, written up to {span.high}"
            )


def states_follow(evidence: Evidence, fold: Fold | None) -> Iterator[Violation]:
    """INV-10, when all is quiet: the changelog against the history; byte for byte where there is a fold."""
    last = {story.saga_id: story for story in evidence.told_stories() if story.decisions}
    for saga_id, story in last.items():
        if story is evidence.by_id[saga_id][-1]:
            yield from (Violation("INV-10", saga_id, flaw) for flaw in _last_flaws(evidence, story, fold))
    for saga_id, record in evidence.states.items():
        if not evidence.knows(saga_id) and evidence.kept(EVENTS.name, record.partition):
            yield Violation("INV-10", saga_id, "there is a state, but no history")
    for record in evidence.deleted:
        stories = evidence.by_id.get(text(record.key), [])
        if evidence.kept(EVENTS.name, record.partition) and not any(s.over(record.timestamp_ms) for s in stories):
            yield Violation("INV-10", text(record.key), f"{_where(record)}: the saga was forgotten too early")


def _last_flaws(evidence: Evidence, story: Story, fold: Fold | None) -> Iterator[str]:
    record = evidence.states.get(story.saga_id)
    if record is None or record.value is None:
        seen_ms = evidence.now_ms if record is None else record.timestamp_ms
        if not story.over(seen_ms):
            yield "the saga has a history, but no state"
        return
    yield from _state_flaws(story, loads(record.value))
    if fold is not None:
        folded = _folded(fold, story)
        if folded is None:
            yield "its events cannot be folded"
        elif folded != record.value:
            yield "the state is not the one that its events fold to"


def _state_flaws(story: Story, state: Object) -> Iterator[str]:
    last, journey = story.decisions[-1], story.journey
    if state.get("seq") != last.seq:
        yield f"the state is that of decision {state.get('seq')}, the last one is {last.seq}"
    if state.get("state") != _STATES.get(journey.phase):
        yield f"the state is {state.get('state')}, but the saga is {journey.told}"
    legs = state.get("legs")
    legs = [leg for leg in legs if type(leg) is dict] if type(legs) is list else []
    stuck = sorted(str(leg.get("step")) for leg in legs if leg.get("is") == "stuck")
    if stuck != sorted(journey.stuck):
        yield f"the state is stuck in {', '.join(stuck) or 'nothing'}, but the saga is {journey.told}"


def _folded(fold: Fold, story: Story) -> bytes | None:
    values: list[Any] = [decision.value for decision in story.decisions]
    try:
        return fold(values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
