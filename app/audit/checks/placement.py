"""INV-10, 13, 21 and 23: keys and partitions, one writer per partition, open transactions, and the changelog."""

from collections.abc import Callable, Iterator
from typing import Any

from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.history.replayed_saga import Phase
from app.audit.invariants import Violation
from app.audit.recording.recording import Record
from app.audit.recording.records import Object, as_text, json_object
from app.wire.topics import EVENTS, STATE, TopicPartitionKey

Fold = Callable[[list[Object]], bytes]
"""Folds the decisions of one saga (JSON objects, in order) into the bytes of its state."""

_STATES = {
    Phase.RUNNING: "running",
    Phase.COMPENSATING: "compensating",
    Phase.COMPLETED: "completed",
    Phase.ROLLED_BACK: "rolled_back",
}


def keys_and_partitions(evidence: Evidence) -> Iterator[Violation]:
    """INV-13, at any time: keys, partitions and order ids of the records that the orchestrator wrote."""
    for record in evidence.recording.records:
        if record.topic in evidence.spec.outputs or record.topic == STATE.name:
            yield from _misplaced(evidence, record)
    for decision in evidence.decisions:
        if decision.value.get("saga_id") != decision.saga_id:
            yield Violation("INV-13", decision.saga_id, f"{_where(decision.record)}: its saga_id is not its key")
        elif decision.cause and decision.cause[1] != decision.record.partition:
            yield Violation("INV-13", decision.saga_id, f"decision {decision.seq}: its cause is in another partition")
    for history in evidence.histories:
        for message in (*history.commands, *history.outcomes):
            if message.body.get("order_id") != history.saga_id:
                yield Violation("INV-13", history.saga_id, f"{_where(message.record)}: its order_id is not its key")


def dead_letters_in_place(evidence: Evidence) -> Iterator[Violation]:
    """INV-13, at any time: a dead letter is in the partition of its key, or in that of its record."""
    for letter in evidence.dead_letters:
        allowed = {evidence.owning_partition(letter.record.key or b""), letter.origin[1] if letter.origin else -1}
        if letter.record.partition not in allowed:
            text = f"{_where(letter.record)}: this is neither the partition of its key nor that of its origin"
            yield Violation("INV-13", letter.saga_id, text)


def _misplaced(evidence: Evidence, record: Record) -> Iterator[Violation]:
    if not record.key:
        yield Violation("INV-13", None, f"{_where(record)}: it has no key")
    elif evidence.owning_partition(record.key) != record.partition:
        right = evidence.owning_partition(record.key)
        yield Violation("INV-13", as_text(record.key), f"{_where(record)}: its key belongs to partition {right}")


def _where(record: Record) -> str:
    return f"{record.topic}/{record.partition}@{record.offset}"


def single_writer(evidence: Evidence) -> Iterator[Violation]:
    """INV-21, at any time: two writers of one partition would mix up the order of its causes."""
    last: dict[tuple[int, TopicPartitionKey], int] = {}
    for decision in evidence.decisions:
        if decision.cause:
            partitions, offset = (decision.record.partition, decision.cause[:2]), decision.cause[2]
            if offset < last.get(partitions, 0):
                text = f"offset {offset} caused it after offset {last[partitions]} had caused an earlier decision"
                yield Violation("INV-21", decision.saga_id, f"decision {decision.seq}: {text}")
            last[partitions] = max(offset, last.get(partitions, 0))


def no_open_transaction(evidence: Evidence) -> Iterator[Violation]:
    """INV-23, once settled."""
    for (topic, partition), span in evidence.recording.spans.items():
        if topic in evidence.spec.topics and span.stable != span.high:
            text = f"{topic}/{partition}: the last stable offset is {span.stable}, the high watermark {span.high}"
            yield Violation("INV-23", None, text)


def states_match(evidence: Evidence, fold: Fold | None) -> Iterator[Violation]:
    """INV-10, once settled: compares the changelog with the events; byte for byte if there is a fold."""
    last = {history.saga_id: history for history in evidence.judged_histories() if history.decisions}
    for saga_id, history in last.items():
        if history is evidence.by_id[saga_id][-1]:
            yield from (Violation("INV-10", saga_id, flaw) for flaw in _changelog_flaws(evidence, history, fold))
    for saga_id, record in evidence.states.items():
        if not evidence.has_decisions(saga_id) and evidence.is_kept(EVENTS.name, record.partition):
            yield Violation("INV-10", saga_id, "the saga has a state, but no decisions")
    for record in evidence.tombstones:
        histories = evidence.by_id.get(as_text(record.key), [])
        expired = any(history.may_be_expired(record.timestamp_ms) for history in histories)
        if evidence.is_kept(EVENTS.name, record.partition) and not expired:
            text = f"{_where(record)}: a tombstone, but no saga of this id was past its retention"
            yield Violation("INV-10", as_text(record.key), text)


def _changelog_flaws(evidence: Evidence, history: SagaHistory, fold: Fold | None) -> Iterator[str]:
    record = evidence.states.get(history.saga_id)
    if record is None or record.value is None:
        gone_at_ms = evidence.now_ms if record is None else record.timestamp_ms
        if not history.may_be_expired(gone_at_ms):
            yield "the saga has decisions, but no state"
        return
    yield from _state_flaws(history, json_object(record.value))
    if fold is not None:
        folded = _folded(fold, history)
        if folded is None:
            yield "the events can't be folded"
        elif folded != record.value:
            yield "the state differs from the fold of the events"


def _state_flaws(history: SagaHistory, state: Object) -> Iterator[str]:
    last, replayed = history.decisions[-1], history.replayed
    if state.get("seq") != last.seq:
        yield f"the state is that of decision {state.get('seq')}, but the last decision is {last.seq}"
    if state.get("state") != _STATES.get(replayed.phase):
        yield f"the state is {state.get('state')}, but the saga is {replayed.phase_text}"
    active = state.get("legs")
    active = [step for step in active if type(step) is dict] if type(active) is list else []
    stuck = sorted(str(step.get("step")) for step in active if step.get("is") == "stuck")
    if stuck != sorted(replayed.stuck):
        yield f"the state is stuck in {', '.join(stuck) or 'no step'}, but the saga is {replayed.phase_text}"


def _folded(fold: Fold, history: SagaHistory) -> bytes | None:
    values: list[Any] = [decision.value for decision in history.decisions]
    try:
        return fold(values)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
