"""The README's section "A record's way" names functions that a record passes, in the order in which it passes them."""

import importlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest

from app.engine.kafka import transactions
from app.engine.kafka.transactions import TransactionalProducer
from tests.benchmarks.in_process_pod import in_process_pod as inside
from tests.benchmarks.in_process_pod import load
from tests.house.readme import README

STATION = re.compile(r"^\d+\. `(?P<name>[\w.]+)` in `(?P<file>[\w/]+\.py)` ", re.MULTILINE)
SECTION = re.compile(r"<!-- way:begin -->\n(.*)<!-- way:end -->", re.DOTALL)


def stations(text: str) -> dict[CodeType, str]:
    """The code of each named function, in the order of the list."""
    section = SECTION.search(text)
    assert section is not None
    found = {}
    for station in STATION.finditer(section[1]):
        module = importlib.import_module(station["file"].removesuffix(".py").replace("/", "."))
        found[attrgetter(station["name"])(module).__code__] = station["name"]
    return found


class Client:
    """Stands in for the client's producer: every record is delivered at once."""

    def __init__(self, _: dict[str, Any]) -> None:
        self._offset = 0

    def produce(self, *arguments: Any) -> None:
        """Delivers a record."""
        partition, delivered = arguments[3:5]
        self._offset += 1
        if delivered is not None:
            delivered(None, Delivered(partition, self._offset))

    def __getattr__(self, _: str) -> Callable[..., None]:
        return lambda *_: None


class Delivered:
    """A delivered record."""

    def __init__(self, partition: int, offset: int) -> None:
        self.partition = lambda: partition
        self.offset = lambda: offset


@contextmanager
def passed(wanted: dict[CodeType, str]) -> Iterator[list[str]]:
    """The wanted functions in the order of their first call, on any thread that is started in the block."""
    names: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        name = wanted.get(frame.f_code)
        if event == "call" and name is not None and name not in names:
            names.append(name)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield names
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def test_a_reply_passes_every_station_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the poll to the save on disk."""
    if sys.getprofile() is not None:
        pytest.skip("something else profiles this process")
    monkeypatch.setattr(transactions, "Producer", Client)
    wanted = stations(README.read_text("utf-8"))
    orders, replies = load("order", 1)[:2]
    with inside(tmp_path) as pod:
        pod.feed(orders)
        pod.drain()
        with passed(wanted) as names:
            producer = TransactionalProducer(
                {"transactional.id": "group.pod.0", "transaction.timeout.ms": 15_000}, 1.0, "saga.state"
            )
            pod._loop._producers[:] = [producer]
            pod.feed(replies)
            pod.drain()
            pod._loop.drain()
        producer.close()
    assert names == list(wanted.values())
    assert len(names) >= 10


def test_a_station_that_is_not_passed_is_found() -> None:
    """A name that exists nowhere is no station."""
    with pytest.raises(AttributeError):
        stations("<!-- way:begin -->\n1. `Loop.sleep` in `app/engine/runtime/loop.py` sleeps.\n<!-- way:end -->")
