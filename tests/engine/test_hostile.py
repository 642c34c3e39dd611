"""Every hostile record through the whole running orchestrator: one dead letter each, and its neighbours are decided."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from confluent_kafka import Message

from app.samples.hostile import hostile
from app.wire.envelope import MAX_HEADER_BYTES, Headers
from app.wire.partition import partition_of
from app.wire.writer import ERRORS, MAX_DEAD_LETTER_BYTES
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import until
from tests.engine import raw

pytestmark = pytest.mark.broker

PARTITIONS = 2
LARGEST = 1_048_400  # bytes of one header, with which the broker just takes the record
FORGED = ("__saga.errors.reason", b"malformed"), ("__processed_offsets__", b"[9]"), ("saga_version", b"99")


@dataclass(frozen=True, slots=True)
class Given:
    """A record, and the reason of its dead letter; None when it is no worse than odd, and taken in."""

    flaw: str
    code: str | None
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    topic: str = "order.requests"
    partition: int | None = None

    @property
    def place(self) -> int:
        """Its partition: the key's own unless said otherwise."""
        return partition_of(self.key or b"", PARTITIONS) if self.partition is None else self.partition


def order(id: str, *more: tuple[str, bytes | None]) -> tuple[bytes, bytes, Headers]:
    """A good order, with more headers."""
    return id.encode(), placed(id), (*said("order.place", f"{id}:place"), *more)


def stray() -> str:
    """An order's id that belongs to partition 1."""
    return next(f"stray-{n}" for n in count() if partition_of(f"stray-{n}".encode(), PARTITIONS) == 1)


def reply(id: str, *more: tuple[str, bytes | None]) -> tuple[bytes, bytes, Headers]:
    """A reply for an order that nobody placed."""
    headers = (*said("reservation.reserved", f"{id}:reply"), *more)
    return id.encode(), b'{"order_id": "%s", "reservation_id": "r"}' % id.encode(), headers


CAUSE = ("ce_causationid", b"nobody:reservation:do:1")
EXTRAS = (
    Given("a tombstone", "malformed", b"gone", None, said("order.place", "gone")),
    Given("a tombstone among the replies", "malformed", b"gone", None, said("payment.charged", "g"), "payment.replies"),
    Given("10,000 headers", "too_large", *order(stray(), *((f"h{n}", b"x" * 30) for n in range(10_000))), partition=0),
    Given("the longest header", "malformed", b"key", b"{}", (("ce_id", b"x" * LARGEST),)),
    Given("a header too long to go on with", "too_large", *order(stray(), ("x", b"y" * (LARGEST - 500))), partition=0),
    Given("a value of 900 KB", "too_large", b"large", b"[" * 900_000, said("order.place", "large")),
    Given("a key of 900 KB", "wrong_key", b"k" * 900_000, *order("other")[1:]),
    Given("a header's value that is no UTF-8", "malformed", b"k", b"{}", (("ce_id", b"\xff\xfe"),)),
    Given("forged headers of a dead letter", "malformed", b"k", b"{", (*said("order.place", "f"), *FORGED)),
    Given("a reply for nobody", "unknown_order", *reply("nobody", CAUSE), "reservation.replies"),
    Given("a reply without its command", "malformed", *reply("nobody"), "reservation.replies"),
    Given("an operation for nobody", "unknown_order", b"nobody", b'{"order_id":"nobody","operator":"o","reason":"r"}',
          said("saga.retry", "r"), "saga.operations"),
    Given("an order in a wrong partition", None, *order(stray()), partition=0),
    Given("an order with forged headers", None, *order("forged", *FORGED)),
    Given("an order with 10,000 headers", None, *order("headed", *((f"h{n}", None) for n in range(10_000)))),
    Given("a header without a value", None, *order("empty", ("ce_other", None))),
    Given("the same header twice", None, *order("twice", ("ce_source", b"/again"))),
)  # fmt: skip
KINDS = {each.flaw: each for each in hostile(60, seed=1)}
ALL = (*(Given(each.flaw, each.code, each.key, each.value, each.headers) for each in KINDS.values()), *EXTRAS)
FLAWS = {given.flaw: given for given in ALL}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of all records."""

    at: dict[str, int]
    neighbours: dict[str, tuple[str, str]]
    letters: dict[tuple[str, int, int], list[Message]]
    started: frozenset[str]
    site: Site

    def letters_of(self, given: Given) -> list[Message]:
        """The dead letters that name a record as their origin."""
        return self.letters.get((self.site.topics.full(given.topic), given.place, self.at[given.flaw]), [])


@pytest.fixture(scope="module")
def seen(kafka_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    """One run of one pod, with a good order before and after each hostile record in its partition."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    with site(kafka_bootstrap, f"t-{secrets.token_hex(6)}.", folder, PARTITIONS) as at:
        offsets, neighbours, names = {}, {}, count()
        for given in FLAWS.values():
            before = good(at, given, names)
            offsets[given.flaw] = at.send(given.topic, given.key, given.value, given.headers, given.place)
            neighbours[given.flaw] = (before, good(at, given, names))
        last = next(id for id in (f"last-{n}" for n in names) if partition_of(id.encode(), PARTITIONS) == 0)
        at.running()
        at.place(last)
        wanted = {each for pair in neighbours.values() for each in pair} | {last}
        until(lambda: wanted <= started(at), "every good order to be decided")
        until(lambda: unread(at) == 0, "everything to be read")
        yield Seen(offsets, neighbours, letters(at), started(at), at)


def good(at: Site, given: Given, names: Iterator[int]) -> str:
    """Places a good order in the same partition; returns its id."""
    id = next(id for id in (f"good-{n}" for n in names) if partition_of(id.encode(), PARTITIONS) == given.place)
    at.place(id, given.place)
    return id


def started(at: Site) -> frozenset[str]:
    """The orders whose sagas began."""
    return frozenset(each["saga_id"] for number in range(PARTITIONS) for each in at.decisions(number))


def unread(at: Site) -> int:
    """How many records of the requests were not committed as read."""
    ends = [message.offset() + 1 for n in range(PARTITIONS) for message in at.read("order.requests", n)[-1:]]
    return sum(max(end - at.committed("order.requests", number), 0) for number, end in enumerate(ends))


def letters(at: Site) -> dict[tuple[str, int, int], list[Message]]:
    """All dead letters by the coordinates that they name."""
    found: dict[tuple[str, int, int], list[Message]] = {}
    for number in range(PARTITIONS):
        for message in at.read("saga.dead-letters", number):
            said = errors(message)
            origin = said["topic"], int(said["partition"]), int(said["offset"])
            found.setdefault(origin, []).append(message)
    return found


def errors(message: Message) -> dict[str, str]:
    """What a dead letter says of itself; headers that came with the record come first, so ours win."""
    return {
        name.removeprefix(ERRORS): (value or b"").decode()
        for name, value in message.headers() or ()
        if name.startswith(ERRORS)
    }


@pytest.mark.parametrize("given", ALL, ids=lambda given: given.flaw)
def test_a_hostile_record_is_one_dead_letter_and_its_neighbours_are_decided(seen: Seen, given: Given) -> None:
    """Its reason is the right one, its coordinates are true, and the orders around it go on."""
    codes = [errors(letter)["reason"] for letter in seen.letters_of(given)]
    assert codes == [code for code in (given.code,) if code is not None]
    assert set(seen.neighbours[given.flaw]) <= seen.started


@pytest.mark.parametrize("given", [given for given in ALL if given.code], ids=lambda given: given.flaw)
def test_a_dead_letter_is_the_record_as_it_came(seen: Seen, given: Given) -> None:
    """Key, value and headers are its own, or the beginning of them with a hash of the whole value."""
    (letter,) = seen.letters_of(given)
    came, told = list(letter.headers() or ()), errors(letter)
    own = came[: len(came) - 6 - 2 * ("truncated" in told)]
    assert letter.value() == (given.value[:MAX_DEAD_LETTER_BYTES] if given.value is not None else None)
    assert letter.key() == (given.key[:MAX_HEADER_BYTES] if given.key is not None else None)
    assert own == list(given.headers)[: len(own)]
    whole = (letter.key(), letter.value(), own) == (given.key, given.value, list(given.headers))
    assert ("truncated" in told) != whole
    assert whole or told["sha256"] == sha256(given.value or b"").hexdigest()


def test_odd_orders_are_taken_in(seen: Seen) -> None:
    """Forged, empty, repeated or very many headers spoil nothing, and a stray is decided in its own partition."""
    odd = {(given.key or b"").decode() for given in EXTRAS if given.code is None}
    assert odd <= seen.started


def test_a_stray_is_sent_on_once_as_it_was(seen: Seen) -> None:
    """It is found again in the partition of its key, with the same value and headers, and only there it is decided."""
    given = FLAWS["an order in a wrong partition"]
    copies = [message for message in seen.site.read("order.requests", 1) if message.key() == given.key]
    assert [(message.value(), message.headers()) for message in copies] == [(given.value, list(given.headers))]
    causes = [each["cause"] for n in (0, 1) for each in seen.site.decisions(n) if each["saga_id"] == stray()]
    assert [(cause["partition"], cause["offset"]) for cause in causes] == [(1, copies[0].offset())]


def test_a_header_whose_name_is_no_text_stops_nothing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The client can't read such headers and fails; so the record is a dead letter without them. So are odd times."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        topic = at.topics.full("order.requests")
        first = at.place("before")
        offset = raw.produce(kafka_bootstrap, topic, 0, b"k", placed("k"), [(b"\xff\xfe", b"1"), (b"ce_id", b"2")])
        early = raw.produce(kafka_bootstrap, topic, 0, b"k", b"before 1970", timestamp_ms=-500)
        with pytest.raises(SystemError):
            at.read("order.requests")[offset - first].headers()  # so much for the client
        at.running()
        at.place("after")
        at.await_events("after", "saga.step.requested")
        unreadable, timely = at.read("saga.dead-letters")
        told = errors(unreadable)
        assert (told["reason"], told["offset"], told["truncated"]) == ("malformed", str(offset), "true")
        assert told["message"] == "the name of a header is not UTF-8"
        assert unreadable.value() == placed("k")
        assert (errors(timely)["offset"], errors(timely)["timestamp"]) == (str(early), "-500")
