"""Floods and monsters: what is too large, too deep or too much takes little memory and time, and leaves nothing."""

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rocksdict import Options, Rdict

from app.engine.batch import KeyState
from app.engine.store import PartitionStore
from app.engine.turn import Record, Turns
from app.saga.versions import Versions
from app.wire.envelope import Headers, header_bytes
from app.wire.writer import Origin
from tests.fuzz.conftest import Court
from tests.fuzz.judge import wire_bytes
from tests.fuzz.sagas import NOW, Said, placed, record, replies
from topologies.order import ORDER

KIB, MIB = 1 << 10, 1 << 20
YEAR_MS = 31_536_000_000
MOST_SECONDS = 1.0
PLACE: Headers = [("ce_id", b"m"), ("ce_type", b"order.place")]
KEYS = b"{" + b",".join(b'"%d":0' % number for number in range(100_000)) + b"}"
TOO_LARGE = {
    "10 MB": b'{"a":"' + b"x" * 10_000_000 + b'"}',
    "1 MB of a string that is no UTF-8": b'{"a":"' + b"\xff" * MIB + b'"}',
    "100,000 members": KEYS,
    "10 MB of brackets": b"[" * 10_000_000,
    "10 MB of quotes": b'"' * 10_000_000,
}
AS_LARGE_AS_MAY_BE = {
    "1,025 levels": b'{"a":' * 1_025 + b"0" + b"}" * 1_025,
    "13,000 levels": b'{"a":' * 13_000,
    "brackets": b"[" * 64 * KIB,
    "quotes": b'"' * 64 * KIB,
    "empty objects": b'{"a":[' + b"{}," * 21_000 + b"{}]}",
    "members": KEYS[: KEYS.rindex(b",", 0, 64 * KIB - 1)] + b"}",
    "members twice": b'{"a":[' + b'{"b":1,"b":2},' * 4_600 + b"1]}",
    "empty lists": b'{"a":[' + b"[]," * 21_000 + b"1]}",
    "numbers": b'{"a":[' + b"1.5," * 16_000 + b"1]}",
    "escapes": b'{"a":"' + rb"\u00e9" * 10_900 + b'"}',
}
HEADERS: dict[str, Headers] = {
    "10,000 headers": [(f"h{number}", b"x" * 90) for number in range(10_000)],
    "a header of 1 MB": [("ce_id", b"x" * MIB)],
    "a type of 1 MB": [("ce_id", b"m"), ("ce_type", "\u00e9".encode() * (MIB // 2))],
    "a name of 1 MB": [("\u00e9" * (MIB // 2), b"")],
    "a trace of 1 MB": [*PLACE, ("traceparent", b"01" + b"-" * MIB), ("tracestate", b"a" * MIB)],
}


@pytest.fixture
def traced() -> Iterator[None]:
    """Counts every byte that is asked for."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def effort(courts: tuple[Court, ...], one: Record) -> tuple[int, float]:
    """Bytes of memory at the most, and seconds of work, that a record takes until its dead letter is made."""
    world, judge = courts[0]
    before, begin = tracemalloc.get_traced_memory()[0], time.thread_time()
    tracemalloc.reset_peak()
    taken = world.take("order.requests", one)
    spent = tracemalloc.get_traced_memory()[1] - before, time.thread_time() - begin
    assert judge.judge(taken) == "dead letter"
    return spent


def of(value: bytes, headers: Headers = PLACE) -> Record:
    """A record of somebody's."""
    return Record(Origin("t.order.requests", 0, 1, NOW), b"x", value, headers)


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("which", TOO_LARGE)
def test_what_is_too_large_is_not_looked_into(courts: tuple[Court, ...], which: str) -> None:
    """It takes no more memory than the beginning of it that its dead letter keeps."""
    peak, seconds = effort(courts, of(TOO_LARGE[which]))
    assert peak < 300 * KIB
    assert seconds < MOST_SECONDS


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("which", AS_LARGE_AS_MAY_BE)
def test_what_is_as_large_as_it_may_be_takes_little(courts: tuple[Court, ...], which: str) -> None:
    """64 KiB of whatever blows up most."""
    value = AS_LARGE_AS_MAY_BE[which]
    peak, seconds = effort(courts, of(value[: 64 * KIB]))
    assert peak < 16 * MIB, f"{peak:,}"
    assert seconds < MOST_SECONDS


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("which", HEADERS)
def test_headers_take_little(courts: tuple[Court, ...], which: str) -> None:
    """No more than some copies of the largest ones that a topic takes, and the dead letter keeps a quarter at most."""
    headers = HEADERS[which]
    peak, seconds = effort(courts, of(b"{}", headers))
    assert peak < 3 * header_bytes(headers) + MIB
    assert seconds < MOST_SECONDS


def test_a_tombstone_deletes_nothing(courts: tuple[Court, ...]) -> None:
    """On whatever input, under whatever name, and wherever the saga is: a dead letter, and the saga is untouched."""
    for world, judge in courts:
        for topic in world.inputs:
            for order_id in world.sagas:
                for type in (*world.turns._reader.types(topic), "unknown"):
                    one = record(order_id, Said(topic, type, "c", {}))
                    taken = world.take(topic, replace(one, value=None))
                    assert judge.judge(taken) == "dead letter"
                    assert (taken.documents, taken.outs[0].value) == ([], None)


@pytest.mark.parametrize("timestamp_ms", (NOW + YEAR_MS, NOW - YEAR_MS, 0, -1, -(2**63), 2**63 - 1))
def test_the_time_of_a_record_moves_nothing(courts: tuple[Court, ...], timestamp_ms: int) -> None:
    """All that is decided, and when an answer is due, follows the clock of who decides it."""
    for world, judge in courts:
        for order_id in ("nobody", *world.sagas):
            for said in world.told(order_id):
                one = record(order_id, said)
                taken = world.take(said.topic, one)
                world.reset()
                odd = world.take(said.topic, replace(one, origin=replace(one.origin, timestamp_ms=timestamp_ms)))
                world.reset()
                assert odd.documents == taken.documents
                if judge.judge(odd, by_schema=False) != "dead letter":
                    assert odd.outs == taken.outs


class Flood:
    """One partition's store, through which floods run as the engine's batches do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = PartitionStore(folder, "changelog", 20_000, 1000)
        self.turns = Turns(Versions((ORDER,)), 1)
        self.largest = 0

    def take(self, order_id: str, said: Said) -> None:
        """One record."""
        one = record(order_id, said)
        one = replace(one, origin=replace(one.origin, partition=0))
        outs = self.turns.take(said.topic, one, KeyState(self.store, one.key or b""), NOW)
        self.largest = max(self.largest, *map(wire_bytes, outs))

    def commit(self) -> int:
        """The end of a batch; how many sagas changed in it."""
        changed = self.store.changes()
        self.store.save(changed, self.store.offset + len(changed.documents))
        return len(changed.documents)

    def sagas_on_disk(self) -> int:
        """How many keys with something under them are left, but for the store's own."""
        self.store.close()
        db = Rdict(str(self.folder), Options(raw_mode=True))
        left = [key for key, _ in db.items() if not cast("bytes", key).startswith(b"\0")]
        db.close()
        return len(left)


def test_a_flood_of_orphans_leaves_nothing(tmp_path: Path) -> None:
    """Of replies and wishes for orders that nobody placed nothing is kept, in memory or on disk; letters are small."""
    flood = Flood(tmp_path / "store")
    for batch in range(20):
        for number in range(500):
            said = Said("order.requests", "order.cancel", None, {"reason": "never placed"})
            flood.take(f"x-{batch}-{number}", said)
        assert flood.commit() == 0
        assert len(flood.store._cache) <= 100
    assert flood.largest < KIB
    assert flood.sagas_on_disk() == 0


def test_a_flood_of_orders_leaves_nothing_once_they_are_forgotten(tmp_path: Path) -> None:
    """State grows with what is live, and by no more; after they have ended and their time is over, it is empty."""
    flood, ids = Flood(tmp_path / "store"), [f"o-{number}" for number in range(1_000)]
    for order_id in ids:
        flood.take(order_id, placed())
    assert flood.commit() == len(ids)
    for order_id in ids:
        progress = flood.store.get(order_id.encode())
        assert progress is not None
        refused = next(said for said in replies(ORDER, order_id, progress) if said.type == "reservation.rejected")
        flood.take(order_id, refused)
    assert flood.commit() == len(ids)
    over = NOW + ORDER.remembered_ms
    flood.store.look_ahead(over)
    due = [each for _ in range(2) for each in flood.store.due(over, len(ids))]  # first those that have moved since
    for due_ms, key in due:
        assert flood.turns.expire(key.decode(), due_ms, KeyState(flood.store, key), over) == []
    assert flood.commit() == len(ids)
    flood.store.look_ahead(over)
    assert len(flood.store._cache) <= 100
    assert flood.sagas_on_disk() == 0
