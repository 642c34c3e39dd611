"""INV-1, 2, 5, 18 and 20 of the inputs: each came to exactly one thing, and every cause is real and named truly."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from app.audit.evidence import Evidence
from app.audit.lives import Story
from app.audit.messages import Decision, Message, content
from app.audit.recording import Coordinates, Place
from app.audit.statements import Violation


def at(coordinates: Coordinates) -> str:
    """Coordinates as text."""
    return f"{coordinates[0]}/{coordinates[1]}@{coordinates[2]}"


def one_result(evidence: Evidence) -> Iterator[Violation]:
    """INV-1, as far as it holds at any time: no input came to two things."""
    for coordinates, results in _results(evidence).items():
        if len(results) > 1:
            saga_id = evidence.inputs[coordinates].saga_id if coordinates in evidence.inputs else None
            yield Violation("INV-1", saga_id, f"{at(coordinates)} came to {' and '.join(results)}")


def true_causes(evidence: Evidence) -> Iterator[Violation]:
    """INV-18 and 20: a cause is a committed record of an input topic, named by its id and type."""
    unknown = {id(decision) for story in evidence.stories if story.unknown for decision in story.decisions}
    for decision in evidence.decisions:
        if decision.cause and id(decision) not in unknown:
            yield from _true_cause(evidence, decision, decision.cause)
    for letter in evidence.dead_letters:
        if letter.origin and _is_missing(evidence, letter.origin):
            yield Violation(
                "INV-18", letter.saga_id, f"a dead letter came from {at(letter.origin)}, which has no committed record"
            )


def every_result(evidence: Evidence) -> Iterator[Violation]:
    """INV-1 and 5, when all is quiet: every input was read and came to something, and none came to it too early."""
    results, sent_on = _results(evidence), _SentOn(evidence)
    unread: Counter[Place] = Counter()
    for coordinates, given in evidence.inputs.items():
        place, offset = coordinates[:2], coordinates[2]
        if not evidence.whole(place[1]):
            continue
        if offset >= evidence.recording.committed.get(place, 0):
            unread[place] += 1
            if coordinates in results:
                yield Violation(
                    "INV-1", given.saga_id, f"{at(coordinates)} came to something before it was committed as read"
                )
        elif coordinates not in results and not sent_on.holds(given):
            yield from _nothing_came(evidence.by_id.get(given.saga_id, []), coordinates, given)
    for (topic, partition), count in unread.items():
        yield Violation("INV-5", None, f"{topic}/{partition}: {count} records were not read")


def _nothing_came(stories: list[Story], coordinates: Coordinates, given: Message) -> Iterator[Violation]:
    """Only the order of the saga that there was by then may come again, and to nothing."""
    starts = {s.start.record.coordinates: s.order for s in stories if s.start and s.order}
    near = sorted(start for start in starts if start[:2] == coordinates[:2])
    start = max((start for start in near if start < coordinates), default=near[0] if near else None)
    if given.type != "order.place" or start is None or content(given.body) != starts[start]:
        yield Violation("INV-1", given.saga_id, f"{at(coordinates)} ({given.type or 'no type'}) came to nothing")
    elif coordinates < start:
        yield Violation("INV-2", given.saga_id, f"{at(coordinates)} placed the order, but a later copy started it")


def _results(evidence: Evidence) -> dict[Coordinates, list[str]]:
    results: dict[Coordinates, list[str]] = defaultdict(list)
    for decision in evidence.decisions:
        if decision.cause:
            results[decision.cause].append(f"decision {decision.seq} of {decision.saga_id}")
    for letter in evidence.dead_letters:
        if letter.origin:
            results[letter.origin].append(f"a dead letter ({letter.reason})")
    return results


def _is_missing(evidence: Evidence, coordinates: Coordinates) -> bool:
    """No committed record is there, though there should be: it is neither deleted nor younger than the recording."""
    span = evidence.recording.spans.get(coordinates[:2])
    if coordinates in evidence.inputs or (span and coordinates[2] < span.first):
        return False
    return evidence.settled or span is None or coordinates[2] < span.stable


def _true_cause(evidence: Evidence, decision: Decision, cause: Coordinates) -> Iterator[Violation]:
    where = f"decision {decision.seq}: its cause {at(cause)}"
    if cause[0] not in evidence.terms.inputs:
        yield Violation("INV-20", decision.saga_id, f"{where} is no input")
    elif _is_missing(evidence, cause):
        yield Violation("INV-18", decision.saga_id, f"{where} has no committed record")
    elif cause in evidence.inputs:
        given = evidence.inputs[cause]
        if (given.id, given.type) != (decision.cause_id, decision.cause_type):
            yield Violation(
                "INV-20",
                decision.saga_id,
                f"{where} is {given.type} {given.id}, not {decision.cause_type} {decision.cause_id}",
            )
        if given.saga_id != decision.saga_id:
            yield Violation("INV-13", decision.saga_id, f"{where} has another key")
        if given.type not in evidence.terms.types[cause[0]]:
            yield Violation("INV-20", decision.saga_id, f"{where} is of a type that its topic does not carry")


class _SentOn:
    """Which records of a wrong partition have their copy in the right one; each copy stands for one of them."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        away = [given for given in evidence.inputs.values() if self._is_away(given)]
        wanted = {(m.record.topic, m.record.key, m.record.value) for m in away}
        self._copies: dict[tuple[str, bytes | None, bytes | None], list[Message]] = defaultdict(list)
        for given in evidence.inputs.values():
            record = given.record
            if (record.topic, record.key, record.value) in wanted and not self._is_away(given):
                self._copies[record.topic, record.key, record.value].append(given)

    def holds(self, given: Message) -> bool:
        """The record was sent on, and its copy does not stand for another one yet."""
        record = given.record
        if not self._is_away(given):
            return False
        copies = self._copies[record.topic, record.key, record.value]
        found = next((copy for copy in copies if set(record.headers) <= set(copy.record.headers)), None)
        if found is not None:
            copies.remove(found)
        return found is not None

    def _is_away(self, given: Message) -> bool:
        record = given.record
        return record.key is not None and self._evidence.home(record.key) != record.partition
