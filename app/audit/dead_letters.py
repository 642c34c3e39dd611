"""INV-2 and 11: dead letters are the records as they came, and say truly why."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256

from app.audit.causes import at
from app.audit.evidence import Evidence
from app.audit.lives import Story
from app.audit.messages import DeadLetter, Message, content, own_headers
from app.audit.recording import Coordinates, Place, Record
from app.audit.statements import Violation
from app.audit.terms import DEAD_LETTER_REASONS, MAX_DEAD_LETTER_BYTES, MAX_VALUE_BYTES

_NAMES = ("reason", "message", "topic", "partition", "offset", "timestamp")


def true_dead_letters(evidence: Evidence) -> Iterator[Violation]:
    """INV-2 and 11, at any time: each dead letter against the record that it came from."""
    for letter in evidence.dead_letters:
        missing = [name for name in _NAMES if not letter.errors.get(name)]
        if missing or letter.origin is None:
            wrong = ", ".join(missing) or "topic, partition or offset"
            yield Violation("INV-11", letter.saga_id, f"{_name(letter)}: its headers do not give {wrong}")
        if letter.reason not in DEAD_LETTER_REASONS:
            yield Violation("INV-11", letter.saga_id, f"{_name(letter)}: there is no reason {letter.reason}")
        given = evidence.inputs.get(letter.origin) if letter.origin else None
        if given is not None:
            yield from (
                Violation("INV-11", letter.saga_id, f"{_name(letter)}: {flaw}") for flaw in _flaws(letter, given)
            )
            yield from _untrue(evidence, letter, given)
    yield from _forgotten(evidence)


def nothing_lost(evidence: Evidence) -> Iterator[Violation]:
    """INV-11, when all is quiet: each order that is no dead letter has a saga."""
    dead = {letter.origin for letter in evidence.dead_letters}
    for coordinates, given in evidence.inputs.items():
        if given.type != "order.place" or coordinates in dead or not evidence.whole(coordinates[1]):
            continue
        if not evidence.knows(given.saga_id) and content(given.body) is not None:
            yield Violation(
                "INV-11", given.saga_id, f"the order at {at(coordinates)} has no saga and is no dead letter"
            )


def _name(letter: DeadLetter) -> str:
    return f"dead letter {letter.record.partition}@{letter.record.offset}"


def _flaws(letter: DeadLetter, given: Message) -> Iterator[str]:
    record, origin = letter.record, given.record
    if letter.errors.get("timestamp") != str(origin.timestamp_ms):
        yield "its timestamp is not the record's"
    if not (_is_cut if "truncated" in letter.errors else _is_same)(record, origin):
        yield "key, value or headers are not the record's"
    if "truncated" in letter.errors and letter.errors.get("sha256") != sha256(origin.value or b"").hexdigest():
        yield "its sha256 is not that of the whole value"


def _is_same(record: Record, origin: Record) -> bool:
    same = (record.key, record.value) == (origin.key, origin.value)
    return same and own_headers(record) == own_headers(origin)


def _is_cut(record: Record, origin: Record) -> bool:
    headers, value = own_headers(record), record.value or b""
    value_is_cut = value == (origin.value or b"")[:MAX_DEAD_LETTER_BYTES]
    return value_is_cut and record.key == origin.key and headers == own_headers(origin)[: len(headers)]


def _untrue(evidence: Evidence, letter: DeadLetter, given: Message) -> Iterator[Violation]:
    """The reasons that can be checked against the record itself, or against the saga."""
    where, body = _name(letter), given.body
    if letter.reason == "wrong_key" and body.get("order_id") == given.saga_id:
        yield Violation("INV-11", letter.saga_id, f"{where}: its key is its order_id, yet it is called wrong_key")
    if letter.reason == "too_large" and len(given.record.value or b"") <= MAX_VALUE_BYTES:
        yield Violation("INV-11", letter.saga_id, f"{where}: it is not too large")
    if letter.reason == "conflict":
        stories = [s for s in evidence.by_id.get(given.saga_id, ()) if s.decisions]
        if not stories:
            yield Violation("INV-2", letter.saga_id, f"{where}: a conflict with no saga")
        elif _known_by(stories, given.record.coordinates).order == content(body) is not None:
            yield Violation("INV-2", letter.saga_id, f"{where}: a conflict, but the content is the saga's")


def _known_by(stories: list[Story], coordinates: Coordinates) -> Story:
    """Which of an id's sagas there was when a record of their orders' topic was read."""
    begun = [story for story in stories if story.start and story.start.record.coordinates < coordinates]
    return begun[-1] if begun else stories[0]


def _forgotten(evidence: Evidence) -> Iterator[Violation]:
    """An order is known once an input of the same partition led its saga on, until it has ended and is forgotten."""
    known: dict[tuple[Place, str], list[tuple[Coordinates, Story]]] = defaultdict(list)
    for story in evidence.stories:
        for place, cause in _first_causes(story).items():
            known[place, story.saga_id].append((cause, story))
    for letter in evidence.dead_letters:
        if letter.reason == "unknown_order" and letter.origin:
            before = [found for found in known[letter.origin[:2], letter.saga_id] if found[0] < letter.origin]
            if before and not before[-1][1].over(letter.record.timestamp_ms):
                text = f"{_name(letter)}: the order was known since {at(before[-1][0])}"
                yield Violation("INV-11", letter.saga_id, text)


def _first_causes(story: Story) -> dict[Place, Coordinates]:
    first: dict[Place, Coordinates] = {}
    for decision in story.decisions:
        if decision.cause:
            place = decision.cause[:2]
            first[place] = min(first.get(place, decision.cause), decision.cause)
    return first
