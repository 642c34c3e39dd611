"""INV-1, 2, 5, 18 and 20 for inputs: each record has exactly one result, and each cause exists and is named truly."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.invariants import Violation
from app.audit.recording.recording import Coordinates
from app.audit.recording.records import Decision, Message, order_content
from app.wire.topics import TopicPartitionKey


def at(coordinates: Coordinates) -> str:
    """Coordinates as text: topic/partition@offset."""
    return f"{coordinates[0]}/{coordinates[1]}@{coordinates[2]}"


def at_most_one_result(evidence: Evidence) -> Iterator[Violation]:
    """INV-1, as far as it holds at any time: no input record has two results."""
    for coordinates, results in _results(evidence).items():
        if len(results) > 1:
            saga_id = evidence.inputs[coordinates].saga_id if coordinates in evidence.inputs else None
            text = f"{at(coordinates)} has {len(results)} results: {' and '.join(results)}"
            yield Violation("INV-1", saga_id, text)


def true_causes(evidence: Evidence) -> Iterator[Violation]:
    """INV-13, 18 and 20, at any time: a cause is a committed record of an input topic, named by its id and type."""
    not_judged = [history for history in evidence.histories if history.ended_in_unknown_version]
    skipped = {id(decision) for history in not_judged for decision in history.decisions}
    for decision in evidence.decisions:
        if decision.cause and id(decision) not in skipped:
            yield from _true_cause(evidence, decision, decision.cause)
    for letter in evidence.dead_letters:
        if letter.origin and _is_missing(evidence, letter.origin):
            text = f"a dead letter names {at(letter.origin)} as its origin, but no record is committed there"
            yield Violation("INV-18", letter.saga_id, text)


def exactly_one_result(evidence: Evidence) -> Iterator[Violation]:
    """INV-1, 2 and 5, once settled: every input record was read and has a result, and none has it before its commit."""
    results, rerouted = _results(evidence), _Rerouted(evidence)
    unread: Counter[TopicPartitionKey] = Counter()
    for coordinates, message in evidence.inputs.items():
        partition, offset = coordinates[:2], coordinates[2]
        if not evidence.is_complete(partition[1]):
            continue
        if offset >= evidence.recording.committed.get(partition, 0):
            unread[partition] += 1
            if coordinates in results:
                text = f"{at(coordinates)} has a result, but the committed offset is not past it"
                yield Violation("INV-1", message.saga_id, text)
        elif coordinates not in results and not rerouted.take_copy(message):
            yield from _no_result(evidence.by_id.get(message.saga_id, []), coordinates, message)
    for (topic, number), count in unread.items():
        yield Violation("INV-5", None, f"{topic}/{number}: {count} records were not read")


def _no_result(histories: list[SagaHistory], coordinates: Coordinates, message: Message) -> Iterator[Violation]:
    """Only a duplicate has no result: the same order again, after the one that started the saga of its time."""
    starts = {h.start.record.coordinates: h.order for h in histories if h.start and h.order}
    near = sorted(start for start in starts if start[:2] == coordinates[:2])
    start = max((start for start in near if start < coordinates), default=near[0] if near else None)
    if message.type != "order.place" or start is None or order_content(message.body) != starts[start]:
        yield Violation("INV-1", message.saga_id, f"{at(coordinates)} ({message.type or 'no type'}) has no result")
    elif coordinates < start:
        text = f"{at(coordinates)} placed the order, but a later copy started the saga"
        yield Violation("INV-2", message.saga_id, text)


def _results(evidence: Evidence) -> dict[Coordinates, list[str]]:
    """The decisions and dead letters that name each input record, as text."""
    results: dict[Coordinates, list[str]] = defaultdict(list)
    for decision in evidence.decisions:
        if decision.cause:
            results[decision.cause].append(f"decision {decision.seq} of {decision.saga_id}")
    for letter in evidence.dead_letters:
        if letter.origin:
            results[letter.origin].append(f"a dead letter ({letter.reason})")
    return results


def _is_missing(evidence: Evidence, coordinates: Coordinates) -> bool:
    """No record is committed there, and it is neither deleted nor written after the recording was taken."""
    span = evidence.recording.spans.get(coordinates[:2])
    if coordinates in evidence.inputs or (span and coordinates[2] < span.first):
        return False
    return evidence.settled or span is None or coordinates[2] < span.stable


def _true_cause(evidence: Evidence, decision: Decision, cause: Coordinates) -> Iterator[Violation]:
    subject = f"decision {decision.seq}: its cause {at(cause)}"
    if cause[0] not in evidence.spec.inputs:
        yield Violation("INV-20", decision.saga_id, f"{subject} is not in an input topic")
    elif _is_missing(evidence, cause):
        yield Violation("INV-18", decision.saga_id, f"{subject} has no committed record")
    elif cause in evidence.inputs:
        message = evidence.inputs[cause]
        if (message.id, message.type) != (decision.cause_id, decision.cause_type):
            text = f"{subject} is {message.type} {message.id}, not {decision.cause_type} {decision.cause_id}"
            yield Violation("INV-20", decision.saga_id, text)
        if message.saga_id != decision.saga_id:
            yield Violation("INV-13", decision.saga_id, f"{subject} has another key")
        if message.type not in evidence.spec.types[cause[0]]:
            yield Violation("INV-20", decision.saga_id, f"{subject} has a type that its topic does not carry")


class _Rerouted:
    """Misrouted records, and their copies in the owning partition. Each copy stands for one misrouted record."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        misrouted = [message for message in evidence.inputs.values() if self._is_misrouted(message)]
        wanted = {(m.record.topic, m.record.key, m.record.value) for m in misrouted}
        self._copies: dict[tuple[str, bytes | None, bytes | None], list[Message]] = defaultdict(list)
        for message in evidence.inputs.values():
            record = message.record
            if (record.topic, record.key, record.value) in wanted and not self._is_misrouted(message):
                self._copies[record.topic, record.key, record.value].append(message)

    def take_copy(self, message: Message) -> bool:
        """The record is misrouted and a free copy has all of its headers. That copy is then taken."""
        record = message.record
        if not self._is_misrouted(message):
            return False
        copies = self._copies[record.topic, record.key, record.value]
        found = next((copy for copy in copies if set(record.headers) <= set(copy.record.headers)), None)
        if found is not None:
            copies.remove(found)
        return found is not None

    def _is_misrouted(self, message: Message) -> bool:
        record = message.record
        return record.key is not None and self._evidence.owning_partition(record.key) != record.partition
