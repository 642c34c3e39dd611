"""Every hostile record through a running orchestrator: it becomes one dead letter, and its neighbours are decided."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Message

from app.samples.shop.invalid_orders import invalid_orders
from app.wire.envelope import MAX_HEADER_BYTES, UNREADABLE, Headers, headers_of
from app.wire.partition import partition_of
from app.wire.writer import ERRORS, MAX_DEAD_LETTER_BYTES
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import until
from tests.engine import raw_protocol

pytestmark = pytest.mark.broker

PARTITIONS = 2
LARGEST = 1_048_400  # bytes of one header, just small enough for the broker
FORGED = ("__saga.errors.reason", b"malformed"), ("__processed_offsets__", b"[9]"), ("saga_version", b"99")


@dataclass(frozen=True, slots=True)
class Case:
    """A record, and the reason of its dead letter; None if it is only odd, and accepted."""

    flaw: str
    code: str | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    topic: str = "order.requests"
    partition: int | None = None

    @property
    def target(self) -> int:
        """Its partition: that of its key unless said otherwise."""
        return partition_of(self.key or b"", PARTITIONS) if self.partition is None else self.partition


def order(id: str, *more: tuple[str, bytes | None]) -> tuple[bytes, bytes, Headers]:
    """A good order, with more headers."""
    return id.encode(), placed(id), (*said("order.place", f"{id}:place"), *more)


def misrouted() -> str:
    """The id of an order that belongs to partition 1."""
    return next(f"stray-{n}" for n in count() if partition_of(f"stray-{n}".encode(), PARTITIONS) == 1)


def reply(id: str, *more: tuple[str, bytes | None]) -> tuple[bytes, bytes, Headers]:
    """A reply for an order that was never placed."""
    headers = (*said("reservation.reserved", f"{id}:reply"), *more)
    return id.encode(), b'{"order_id": "%s", "reservation_id": "r"}' % id.encode(), headers


CAUSE = ("ce_causationid", b"nobody:reservation:do:1")
MANY_HEADERS = tuple((f"h{n}", b"x" * 30) for n in range(10_000))
LONG_HEADER = ("x", b"y" * (LARGEST - 500))
MORE = (
    Case("a tombstone", "malformed", b"gone", None, said("order.place", "gone")),
    Case("a tombstone among the replies", "malformed", b"gone", None, said("payment.charged", "g"), "payment.replies"),
    Case("10,000 headers", "too_large", *order(misrouted(), *MANY_HEADERS), partition=0),
    Case("the longest header", "malformed", b"key", b"{}", (("ce_id", b"x" * LARGEST),)),
    Case("a header too long to go on with", "too_large", *order(misrouted(), LONG_HEADER), partition=0),
    Case("a value of 900 KB", "too_large", b"large", b"[" * 900_000, said("order.place", "large")),
    Case("a key of 900 KB", "wrong_key", b"k" * 900_000, *order("other")[1:]),
    Case("a header's value that is no UTF-8", "malformed", b"k", b"{}", (("ce_id", b"\xff\xfe"),)),
    Case("forged headers of a dead letter", "malformed", b"k", b"{", (*said("order.place", "f"), *FORGED)),
    Case("a reply for nobody", "unknown_order", *reply("nobody", CAUSE), "reservation.replies"),
    Case("a reply without its command", "malformed", *reply("nobody"), "reservation.replies"),
    Case("an operation for nobody", "unknown_order", b"nobody", b'{"order_id":"nobody","operator":"o","reason":"r"}',
          said("saga.retry", "r"), "saga.operations"),
    Case("an order in a wrong partition", None, *order(misrouted()), partition=0),
    Case("an order with forged headers", None, *order("forged", *FORGED)),
    Case("an order with 10,000 headers", None, *order("headed", *((f"h{n}", None) for n in range(10_000)))),
    Case("a header without a value", None, *order("empty", ("ce_other", None))),
    Case("the same header twice", None, *order("twice", ("ce_source", b"/again"))),
)  # fmt: skip
INVALID_ORDERS = {each.flaw: each for each in invalid_orders(60, seed=1)}
RECORDS = (
    *(Case(one.flaw, one.code, one.key, one.value, one.headers) for one in INVALID_ORDERS.values()),
    *MORE,
)
BY_FLAW = {case.flaw: case for case in RECORDS}


@dataclass(frozen=True, slots=True)
class Run:
    """The results of all records: their offsets and neighbours, and all dead letters and sagas of the run."""

    offsets: dict[str, int]
    neighbours: dict[str, tuple[str, str]]
    dead_letters: dict[tuple[str, int, int], list[Message]]
    started_sagas: frozenset[str]
    site: Site

    def dead_letters_of(self, case: Case) -> list[Message]:
        """The dead letters that name the record as their origin."""
        return self.dead_letters.get((self.site.topics.full(case.topic), case.target, self.offsets[case.flaw]), [])


@pytest.fixture(scope="module")
def run(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of one pod; each hostile record has a good order before and after it in its partition."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    with site(kafka_bootstrap, f"t-{secrets.token_hex(6)}.", folder, PARTITIONS) as at:
        offsets, neighbours, numbers = {}, {}, count()
        for case in BY_FLAW.values():
            before = place_good_order(at, case, numbers)
            offsets[case.flaw] = at.send(case.topic, case.key, case.value, case.headers, case.target)
            neighbours[case.flaw] = (before, place_good_order(at, case, numbers))
        last = next(id for id in (f"last-{n}" for n in numbers) if partition_of(id.encode(), PARTITIONS) == 0)
        at.running()
        at.place(last)
        wanted = {each for pair in neighbours.values() for each in pair} | {last}
        until(lambda: wanted <= started_sagas(at), "every good order to be decided")
        until(lambda: lag(at) == 0, "everything to be read")
        yield Run(offsets, neighbours, dead_letters(at), started_sagas(at), at)


def place_good_order(at: Site, case: Case, numbers: Iterator[int]) -> str:
    """Places a good order in the same partition; returns its id."""
    id = next(id for id in (f"good-{n}" for n in numbers) if partition_of(id.encode(), PARTITIONS) == case.target)
    at.place(id, case.target)
    return id


def started_sagas(at: Site) -> frozenset[str]:
    """The orders whose sagas have started."""
    return frozenset(each["saga_id"] for number in range(PARTITIONS) for each in at.decisions(number))


def lag(at: Site) -> int:
    """The number of requests that are not committed as read."""
    ends = [message.offset() + 1 for n in range(PARTITIONS) for message in at.read("order.requests", n)[-1:]]
    return sum(max(end - at.committed("order.requests", number), 0) for number, end in enumerate(ends))


def dead_letters(at: Site) -> dict[tuple[str, int, int], list[Message]]:
    """All dead letters, by the coordinates of their origin."""
    found: dict[tuple[str, int, int], list[Message]] = {}
    for number in range(PARTITIONS):
        for message in at.read("saga.dead-letters", number):
            errors = error_headers(message)
            origin = errors["topic"], int(errors["partition"]), int(errors["offset"])
            found.setdefault(origin, []).append(message)
    return found


def error_headers(message: Message) -> dict[str, str]:
    """The error headers of a dead letter; those of the record itself come first, so the engine's override them."""
    return {
        name.removeprefix(ERRORS): (value or b"").decode()
        for name, value in message.headers() or ()
        if name.startswith(ERRORS)
    }


@pytest.mark.parametrize("case", RECORDS, ids=lambda case: case.flaw)
def test_a_hostile_record_is_one_dead_letter_and_its_neighbours_are_decided(run: Run, case: Case) -> None:
    """The reason is right, the coordinates are true, and the orders around the record are decided."""
    codes = [error_headers(letter)["reason"] for letter in run.dead_letters_of(case)]
    assert codes == [code for code in (case.code,) if code is not None]
    assert set(run.neighbours[case.flaw]) <= run.started_sagas


@pytest.mark.parametrize("case", [case for case in RECORDS if case.code], ids=lambda case: case.flaw)
def test_a_dead_letter_has_the_record_unchanged(run: Run, case: Case) -> None:
    """Key, value and headers are the record's, or the beginning of them with a hash of the whole value."""
    (letter,) = run.dead_letters_of(case)
    headers, errors = list(letter.headers() or ()), error_headers(letter)
    own = headers[: len(headers) - 6 - 2 * ("truncated" in errors)]
    assert letter.value() == (case.value[:MAX_DEAD_LETTER_BYTES] if case.value is not None else None)
    assert letter.key() == (case.key[:MAX_HEADER_BYTES] if case.key is not None else None)
    assert own == list(case.headers)[: len(own)]
    whole = (letter.key(), letter.value(), own) == (case.key, case.value, list(case.headers))
    assert ("truncated" in errors) != whole
    assert whole or errors["sha256"] == sha256(case.value or b"").hexdigest()


def test_odd_orders_are_accepted(run: Run) -> None:
    """Forged, empty, repeated or very many headers do no harm; a misrouted order is decided in its own partition."""
    odd = {(case.key or b"").decode() for case in MORE if case.code is None}
    assert odd <= run.started_sagas


def test_a_misrouted_record_is_sent_on_once_unchanged(run: Run) -> None:
    """The copy in its key's partition has the same value and headers, and only the copy is decided."""
    case = BY_FLAW["an order in a wrong partition"]
    copies = [message for message in run.site.read("order.requests", 1) if message.key() == case.key]
    assert [(message.value(), message.headers()) for message in copies] == [(case.value, list(case.headers))]
    causes = [each["cause"] for n in (0, 1) for each in run.site.decisions(n) if each["saga_id"] == misrouted()]
    assert [(cause["partition"], cause["offset"]) for cause in causes] == [(1, copies[0].offset())]


def test_a_header_name_that_is_not_utf8_stops_nothing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The client can't read these headers, so the dead letter has none. Odd timestamps do no harm."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        topic = at.topics.full("order.requests")
        first = at.place("before")
        offset = raw_protocol.produce(
            kafka_bootstrap, topic, 0, b"k", placed("k"), [(b"\xff\xfe", b"1"), (b"ce_id", b"2")]
        )
        early = raw_protocol.produce(kafka_bootstrap, topic, 0, b"k", b"before 1970", timestamp_ms=-500)
        good, *_, odd = at.read("order.requests")[: offset - first + 1]
        for _ in range(1_000):  # then the interpreter has specialised the call, and checks its result no more
            assert headers_of(good)
        assert headers_of(odd) is UNREADABLE
        at.running()
        at.place("after")
        at.await_events("after", "saga.step.requested")
        unreadable, untimely = at.read("saga.dead-letters")
        errors = error_headers(unreadable)
        assert (errors["reason"], errors["offset"], errors["truncated"]) == ("malformed", str(offset), "true")
        assert errors["message"] == "the name of a header is not UTF-8"
        assert unreadable.value() == placed("k")
        assert (error_headers(untimely)["offset"], error_headers(untimely)["timestamp"]) == (str(early), "-500")
