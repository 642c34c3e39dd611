"""INV-2 and INV-11: dead letters equal their records and give true reasons, and no order is lost."""

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256

from app.audit.checks.inputs import at
from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.invariants import Violation
from app.audit.recording.recording import Coordinates, Record
from app.audit.recording.records import DeadLetter, Message, order_content, original_headers
from app.audit.spec import DEAD_LETTER_REASONS, MAX_DEAD_LETTER_BYTES, MAX_VALUE_BYTES
from app.wire.topics import TopicPartitionKey

_HEADERS = ("reason", "message", "topic", "partition", "offset", "timestamp")


def true_dead_letters(evidence: Evidence) -> Iterator[Violation]:
    """INV-2 and 11, at any time: compares each dead letter with its record."""
    for letter in evidence.dead_letters:
        missing = [name for name in _HEADERS if not letter.errors.get(name)]
        if missing or letter.origin is None:
            wrong = ", ".join(missing) or "topic, partition or offset"
            yield Violation("INV-11", letter.saga_id, f"{_name(letter)}: its headers lack a valid {wrong}")
        if letter.reason not in DEAD_LETTER_REASONS:
            yield Violation("INV-11", letter.saga_id, f"{_name(letter)}: the contract has no reason {letter.reason}")
        origin = evidence.inputs.get(letter.origin) if letter.origin else None
        if origin is not None:
            flaws = _differences(letter, origin)
            yield from (Violation("INV-11", letter.saga_id, f"{_name(letter)}: {flaw}") for flaw in flaws)
            yield from _untrue_reason(evidence, letter, origin)
    yield from _known_orders(evidence)


def no_order_lost(evidence: Evidence) -> Iterator[Violation]:
    """INV-11, once settled: each order has a saga or is a dead letter."""
    dead = {letter.origin for letter in evidence.dead_letters}
    for coordinates, order in evidence.inputs.items():
        if order.type != "order.place" or coordinates in dead or not evidence.is_complete(coordinates[1]):
            continue
        if not evidence.has_decisions(order.saga_id) and order_content(order.body) is not None:
            text = f"the order at {at(coordinates)} has no saga and no dead letter"
            yield Violation("INV-11", order.saga_id, text)


def _name(letter: DeadLetter) -> str:
    return f"dead letter {letter.record.partition}@{letter.record.offset}"


def _differences(letter: DeadLetter, message: Message) -> Iterator[str]:
    record, origin = letter.record, message.record
    if letter.errors.get("timestamp") != str(origin.timestamp_ms):
        yield "its timestamp differs from the record's"
    if not (_equals_truncated if "truncated" in letter.errors else _equals)(record, origin):
        yield "its key, value or headers differ from the record's"
    if "truncated" in letter.errors and letter.errors.get("sha256") != sha256(origin.value or b"").hexdigest():
        yield "its sha256 differs from that of the record's whole value"


def _equals(record: Record, origin: Record) -> bool:
    same = (record.key, record.value) == (origin.key, origin.value)
    return same and original_headers(record) == original_headers(origin)


def _equals_truncated(record: Record, origin: Record) -> bool:
    """The value is cut to its limit, and trailing headers may be missing."""
    headers, value = original_headers(record), record.value or b""
    same_value = value == (origin.value or b"")[:MAX_DEAD_LETTER_BYTES]
    return same_value and record.key == origin.key and headers == original_headers(origin)[: len(headers)]


def _untrue_reason(evidence: Evidence, letter: DeadLetter, message: Message) -> Iterator[Violation]:
    """Checks the reasons that the record itself, or the saga, can refute."""
    name, body = _name(letter), message.body
    if letter.reason == "wrong_key" and body.get("order_id") == message.saga_id:
        yield Violation("INV-11", letter.saga_id, f"{name}: the reason is wrong_key, but its key is its order_id")
    if letter.reason == "too_large" and len(message.record.value or b"") <= MAX_VALUE_BYTES:
        yield Violation("INV-11", letter.saga_id, f"{name}: the reason is too_large, but its value is within the limit")
    if letter.reason == "conflict":
        histories = [history for history in evidence.by_id.get(message.saga_id, ()) if history.decisions]
        if not histories:
            yield Violation("INV-2", letter.saga_id, f"{name}: the reason is conflict, but its order id has no saga")
        elif _history_before(histories, message.record.coordinates).order == order_content(body) is not None:
            yield Violation("INV-2", letter.saga_id, f"{name}: the reason is conflict, but the content is the saga's")


def _history_before(histories: list[SagaHistory], coordinates: Coordinates) -> SagaHistory:
    """The life of an order id that an order at these coordinates met."""
    begun = [history for history in histories if history.start and history.start.record.coordinates < coordinates]
    return begun[-1] if begun else histories[0]


def _known_orders(evidence: Evidence) -> Iterator[Violation]:
    """INV-11: no record is refused as unknown_order while its order is known.

    An order is known from the first record of the same input partition that caused a decision, until its saga expires.
    """
    known: dict[tuple[TopicPartitionKey, str], list[tuple[Coordinates, SagaHistory]]] = defaultdict(list)
    for history in evidence.histories:
        for partition, cause in _first_causes(history).items():
            known[partition, history.saga_id].append((cause, history))
    for letter in evidence.dead_letters:
        if letter.reason == "unknown_order" and letter.origin:
            earlier = [found for found in known[letter.origin[:2], letter.saga_id] if found[0] < letter.origin]
            if earlier and not earlier[-1][1].may_be_expired(letter.record.timestamp_ms):
                reason = f"the reason is unknown_order, but the order is known since {at(earlier[-1][0])}"
                yield Violation("INV-11", letter.saga_id, f"{_name(letter)}: {reason}")


def _first_causes(history: SagaHistory) -> dict[TopicPartitionKey, Coordinates]:
    """The first cause from each input partition."""
    first: dict[TopicPartitionKey, Coordinates] = {}
    for decision in history.decisions:
        if decision.cause:
            partition = decision.cause[:2]
            first[partition] = min(first.get(partition, decision.cause), decision.cause)
    return first
