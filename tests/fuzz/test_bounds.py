"""Floods and oversized records: they take little memory and time, and leave nothing behind."""

import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rocksdict import Options, Rdict

from app.engine.processor import Record, SagaProcessor
from app.engine.runtime.batch import KeyState
from app.engine.state.store import PartitionStore
from app.saga.versions import Versions
from app.wire.envelope import Headers, header_bytes
from app.wire.writer import Origin
from tests.fuzz.conftest import JudgedHarness
from tests.fuzz.judge import wire_bytes
from tests.fuzz.sagas import NOW, InputMessage, order_message, record, replies
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
LARGEST_ALLOWED = {
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
def memory_traced() -> Iterator[None]:
    """Traces all memory allocations."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def cost(harnesses: tuple[JudgedHarness, ...], one: Record) -> tuple[int, float]:
    """Peak memory (bytes) and CPU time (s) of a record that becomes a dead letter."""
    harness, judge = harnesses[0]
    before, begin = tracemalloc.get_traced_memory()[0], time.thread_time()
    tracemalloc.reset_peak()
    result = harness.process("order.requests", one)
    spent = tracemalloc.get_traced_memory()[1] - before, time.thread_time() - begin
    assert judge.judge(result) == "dead letter"
    return spent


def record_of(value: bytes, headers: Headers = PLACE) -> Record:
    """A record of an unknown order."""
    return Record(Origin("t.order.requests", 0, 1, NOW), b"x", value, headers)


@pytest.mark.usefixtures("memory_traced")
@pytest.mark.parametrize("name", TOO_LARGE)
def test_a_record_that_is_too_large_is_not_parsed(harnesses: tuple[JudgedHarness, ...], name: str) -> None:
    """It takes no more memory than the beginning that its dead letter has."""
    peak, seconds = cost(harnesses, record_of(TOO_LARGE[name]))
    assert peak < 300 * KIB
    assert seconds < MOST_SECONDS


@pytest.mark.usefixtures("memory_traced")
@pytest.mark.parametrize("name", LARGEST_ALLOWED)
def test_the_largest_allowed_record_takes_little(harnesses: tuple[JudgedHarness, ...], name: str) -> None:
    """64 KiB of JSON that is expensive to parse."""
    value = LARGEST_ALLOWED[name]
    peak, seconds = cost(harnesses, record_of(value[: 64 * KIB]))
    assert peak < 16 * MIB, f"{peak:,}"
    assert seconds < MOST_SECONDS


@pytest.mark.usefixtures("memory_traced")
@pytest.mark.parametrize("name", HEADERS)
def test_large_headers_take_little(harnesses: tuple[JudgedHarness, ...], name: str) -> None:
    """No more than a few copies of the largest headers that a topic accepts; the dead letter has a quarter at most."""
    headers = HEADERS[name]
    peak, seconds = cost(harnesses, record_of(b"{}", headers))
    assert peak < 3 * header_bytes(headers) + MIB
    assert seconds < MOST_SECONDS


def test_a_tombstone_deletes_nothing(harnesses: tuple[JudgedHarness, ...]) -> None:
    """On any input, of any type, and in any state of the saga: it is a dead letter, and the saga is unchanged."""
    for harness, judge in harnesses:
        for topic in harness.inputs:
            for order_id in harness.sagas:
                for type in (*harness.processor._reader.types(topic), "unknown"):
                    one = record(order_id, InputMessage(topic, type, "c", {}))
                    result = harness.process(topic, replace(one, value=None))
                    assert judge.judge(result) == "dead letter"
                    assert (result.documents, result.outs[0].value) == ([], None)


@pytest.mark.parametrize("timestamp_ms", (NOW + YEAR_MS, NOW - YEAR_MS, 0, -1, -(2**63), 2**63 - 1))
def test_the_timestamp_of_a_record_changes_nothing(harnesses: tuple[JudgedHarness, ...], timestamp_ms: int) -> None:
    """Decisions and due times follow the engine's clock, not the record's timestamp."""
    for harness, judge in harnesses:
        for order_id in ("nobody", *harness.sagas):
            for message in harness.messages_for(order_id):
                one = record(order_id, message)
                result = harness.process(message.topic, one)
                harness.reset()
                origin = replace(one.origin, timestamp_ms=timestamp_ms)
                shifted = harness.process(message.topic, replace(one, origin=origin))
                harness.reset()
                assert shifted.documents == result.documents
                if judge.judge(shifted, by_schema=False) != "dead letter":
                    assert shifted.outs == result.outs


class Flood:
    """One partition's store, which processes records and saves batches as the engine does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = PartitionStore(folder, "changelog", 20_000, 1000)
        self.processor = SagaProcessor(Versions((ORDER,)), 1)
        self.largest = 0

    def process(self, order_id: str, message: InputMessage) -> None:
        """Processes one record."""
        one = record(order_id, message)
        one = replace(one, origin=replace(one.origin, partition=0))
        outs = self.processor.on_record(message.topic, one, KeyState(self.store, one.key or b""), NOW)
        self.largest = max(self.largest, *map(wire_bytes, outs))

    def commit(self) -> int:
        """Ends a batch; returns the number of sagas that changed."""
        changed = self.store.take_changes()
        self.store.save(changed, self.store.offset + len(changed.documents))
        return len(changed.documents)

    def sagas_on_disk(self) -> int:
        """The number of sagas on disk; closes the store."""
        self.store.close()
        db = Rdict(str(self.folder), Options(raw_mode=True))
        left = [key for key, _ in db.items() if not cast("bytes", key).startswith(b"\0")]
        db.close()
        return len(left)


def test_a_flood_for_unknown_orders_leaves_nothing(tmp_path: Path) -> None:
    """Replies and requests for unknown orders leave nothing in memory or on disk, and their dead letters are small."""
    flood = Flood(tmp_path / "store")
    for batch in range(20):
        for number in range(500):
            message = InputMessage("order.requests", "order.cancel", None, {"reason": "never placed"})
            flood.process(f"x-{batch}-{number}", message)
        assert flood.commit() == 0
        assert len(flood.store._cache) <= 100
    assert flood.largest < KIB
    assert flood.sagas_on_disk() == 0


def test_a_flood_of_orders_leaves_nothing_once_they_expire(tmp_path: Path) -> None:
    """State grows with live sagas only; after all have expired, it is empty."""
    flood, ids = Flood(tmp_path / "store"), [f"o-{number}" for number in range(1_000)]
    for order_id in ids:
        flood.process(order_id, order_message())
    assert flood.commit() == len(ids)
    for order_id in ids:
        progress = flood.store.get(order_id.encode())
        assert progress is not None
        possible = replies(ORDER, order_id, progress)
        rejection = next(message for message in possible if message.type == "reservation.rejected")
        flood.process(order_id, rejection)
    assert flood.commit() == len(ids)
    expired_ms = NOW + ORDER.retention_ms
    flood.store.look_ahead(expired_ms)
    # The first pass skips timers that have moved.
    due = [each for _ in range(2) for each in flood.store.due(expired_ms, len(ids))]
    for due_ms, key in due:
        assert flood.processor.on_timer(key.decode(), due_ms, KeyState(flood.store, key), expired_ms) == []
    assert flood.commit() == len(ids)
    flood.store.look_ahead(expired_ms)
    assert len(flood.store._cache) <= 100
    assert flood.sagas_on_disk() == 0
