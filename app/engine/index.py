"""What is kept on disk beside the sagas of a partition, so that a restart need not read them all.

Each has keys of its own, all of which start with a byte that no order id has:

- due times, in buckets: a key that waits for the time has an entry in the bucket of that time. Its due time may have
  moved within the bucket since, and entries of buckets that it left stay until their time is over: they are hints.
- the queues of steps that wait for room: a ticket, and whose it is. One whose owner no longer waits is passed over.
- how many sagas are where.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

import orjson

from app.engine.census import NOBODY, WAITING, Census, Counts, counts_of
from app.engine.timers import Timers, bucket
from app.saga.facts import fact
from app.saga.state import Progress, due_ms

_DUE = b"\x00due"
_QUEUE = b"\x00queue"
_LAST = (1 << 64) - 1
_AHEAD_MS = 120_000
_CHUNK = 10_000
_MOST_OVERDUE = 50_000  # in memory; the rest can wait on disk

Scan = Callable[[bytes, bytes], Iterator[bytes]]
"""Keys on disk, from one up to another."""


Marks = tuple[int | None, Counts]
"""What the index has of a saga: when it is due, and as what it counts."""

NO_MARKS: Marks = (None, NOBODY)


def marks_of(progress: Progress | None) -> Marks:
    """The marks of a saga."""
    return (due_ms(progress.state), counts_of(progress.state)) if progress is not None else NO_MARKS


@fact
class Written:
    """Keys to put, with nothing under them, and keys to delete; due times up to `passed` are over; and the counts."""

    puts: list[bytes]
    deletes: list[bytes]
    passed: bytes
    counts: bytes


class Index:
    """The index of one partition: what is near in time in memory, and what is to be written with the next save."""

    def __init__(self, scan: Scan) -> None:
        self.census = Census()
        self.timers = Timers()
        self._scan = scan
        self._puts: list[bytes] = []
        self._deletes: list[bytes] = []
        self._passed_ms = 0
        self._ticket = 0
        self._next: dict[str, deque[tuple[bytes, bytes]]] = {}
        self._called: dict[str, bytes] = {}  # the last ticket of each queue whose turn it was; it may be on disk still

    def load(self, counts: bytes) -> None:
        """Takes over the counts that were written last."""
        document = orjson.loads(counts)
        self._ticket = document["tickets"]
        self.census.load(document)

    def change(self, key: bytes, old: Marks, new: Marks) -> None:
        """The saga of that key had other marks before; NO_MARKS: there was none, or there is none any more."""
        was, now = old[0], new[0]
        self.timers.note(key, now)
        if now is not None and (was is None or now < was or bucket(was) != bucket(now)):
            self._puts.append(_due_key(now, key))
        if old[1] != new[1]:
            self.census.change(old[1], new[1])
            for kind, step in new[1]:
                if kind == WAITING and (kind, step) not in old[1]:
                    self._ticket += 1
                    self._puts.append(_queue_key(step, self._ticket, key))

    def changes(self) -> Written:
        """All that is to be written since the last time, together with the sagas that changed."""
        counts = orjson.dumps({"tickets": self._ticket, **self.census.document()})
        written = Written(self._puts, self._deletes, _due_key(self._passed(), b""), counts)
        self._puts, self._deletes = [], []
        return written

    def look_ahead(self, now_ms: int) -> None:
        """Watches the next due times; only while all that was changed is on disk."""
        timers = self.timers
        first = timers.next_ms()
        behind = first is not None and first <= now_ms and len(timers) >= _MOST_OVERDUE
        if behind or timers.until_ms > now_ms + _AHEAD_MS // 2:
            return
        until = now_ms + _AHEAD_MS
        keys = self._scan(_due_key(timers.until_ms, b""), _due_key(until, b""))
        entries = [_due_entry(key) for key in islice(keys, _CHUNK)]
        if len(entries) == _CHUNK:  # there is more: on to the end of the last one's millisecond
            last = entries[-1][0]
            entries.extend(takewhile(lambda entry: entry[0] == last, map(_due_entry, keys)))
            until = last + 1
        timers.extend(entries, until)

    def next_in_queue(self, step: str) -> bytes | None:
        """Whose turn it is to be let in; it may wait no more. Only while all that was changed is on disk."""
        tickets = self._next.get(step)
        if not tickets:
            first = _queue_key(step, 0, b"")
            start, behind = len(first), self._called.get(step, first) + b"\x00"
            found = islice(self._scan(behind, _queue_key(step, _LAST, b"")), _CHUNK)
            tickets = self._next[step] = deque((ticket, ticket[start:]) for ticket in found)
        if not tickets:
            return None
        ticket, key = tickets.popleft()
        self._called[step] = ticket
        self._deletes.append(ticket)
        return key

    def _passed(self) -> int:
        """The start of the earliest bucket in which somebody may still wait; 0 when it is no news."""
        first = self.timers.next_ms()
        start = bucket(self.timers.until_ms if first is None else first)
        if start <= self._passed_ms:
            return 0
        self._passed_ms = start
        return start


def _due_key(due: int, key: bytes) -> bytes:
    return _DUE + due.to_bytes(8, "big") + key


FIRST_DUE = _due_key(0, b"")


def _due_entry(key: bytes) -> tuple[int, bytes]:
    start = len(_DUE)
    return int.from_bytes(key[start : start + 8], "big"), key[start + 8 :]


def _queue_key(step: str, ticket: int, key: bytes) -> bytes:
    return _QUEUE + step.encode() + b"\x00" + ticket.to_bytes(8, "big") + key
