"""The index of one partition, stored beside its sagas, so that a restart does not read them all.

Three parts, each under keys that start with a byte that no order id has:

- due times, in buckets of about a minute: a saga with a timer has an entry in the timer's bucket. Its due time may
  have moved within the bucket since, and an entry that its saga has left stays until its time is over: entries are
    hints.
- queues of steps that wait for a free slot: tickets in ascending order, each with its saga. A ticket is stale when
  its saga no longer waits.
- saga counts.
"""

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

import orjson

from app.engine.state.due_times import DueTimes, bucket
from app.engine.state.saga_counts import NO_COUNTERS, QUEUED, STUCK_STEP, Counters, SagaCounts, counters_of
from app.saga.immutable import immutable
from app.saga.state import Progress, due_ms

_DUE = b"\x00due"
_QUEUE = b"\x00queue"
_STUCK = b"\x00stuck"
_LAST_TICKET = (1 << 64) - 1
_LOOK_AHEAD_MS = 120_000
_CHUNK = 10_000
_MAX_OVERDUE = 50_000  # in memory; the rest stays on disk

Scan = Callable[[bytes, bytes], Iterator[bytes]]
"""(start, end) -> the keys on disk in that range, without `end`."""

IndexEntry = tuple[int | None, Counters]
"""The part of a saga that the index depends on: its due time (ms since 1970), and its counters."""

NO_ENTRY: IndexEntry = (None, NO_COUNTERS)


def index_entry(progress: Progress | None) -> IndexEntry:
    """The index entry of a saga; NO_ENTRY stands for no saga."""
    return (due_ms(progress.state), counters_of(progress.state)) if progress is not None else NO_ENTRY


@immutable
class IndexChanges:
    """To be written with the sagas: index keys to put (without a value) and to delete, and the counts.

    Due entries below `passed` are to be deleted too: their times are over.
    """

    puts: list[bytes]
    deletes: list[bytes]
    passed: bytes
    counts: bytes


class Index:
    """Keeps the next due times in memory, and collects what the next save must write."""

    def __init__(self, scan: Scan) -> None:
        self.counts = SagaCounts()
        self.due_times = DueTimes()
        self._scan = scan
        self._puts: list[bytes] = []
        self._deletes: list[bytes] = []
        self._passed_ms = 0
        self._tickets_issued = 0
        self._loaded_tickets: dict[str, deque[tuple[bytes, bytes]]] = {}
        self._last_taken: dict[str, bytes] = {}  # by step; the ticket may still be on disk
        self._stuck: set[tuple[bytes, int, str]] = set()  # key, since when (ms since 1970), step

    def load(self, counts: bytes) -> None:
        """Takes over the stored counts."""
        document = orjson.loads(counts)
        self._tickets_issued = document["tickets"]
        self.counts.load(document)
        self._stuck.update(map(_stuck_entry, self._scan(_STUCK, _STUCK + b"\xff")))

    def change(self, key: bytes, old: IndexEntry, new: IndexEntry) -> None:
        """The index entry of a saga changes; NO_ENTRY stands for no saga."""
        old_due, new_due = old[0], new[0]
        self.due_times.note(key, new_due)
        if new_due is not None and (old_due is None or new_due < old_due or bucket(old_due) != bucket(new_due)):
            self._puts.append(_due_key(new_due, key))
        if old[1] != new[1]:
            stuck = self.counts.change(old[1], new[1])
            for kind, step in new[1]:
                if kind == QUEUED and (kind, step) not in old[1]:
                    self._tickets_issued += 1
                    self._puts.append(_queue_key(step, self._tickets_issued, key))
            if stuck:
                self._change_stuck(key, old[1], new[1])

    def stuck_since(self) -> dict[str, int]:
        """By step: since when (ms since 1970) the oldest stuck saga is stuck. May be called on any thread."""
        oldest: dict[str, int] = {}
        for _, since_ms, step in list(self._stuck):
            oldest[step] = min(since_ms, oldest.get(step, since_ms))
        return oldest

    def _change_stuck(self, key: bytes, old: Counters, new: Counters) -> None:
        for entries, other in ((old, new), (new, old)):
            for kind, name in entries:
                if kind == STUCK_STEP and (kind, name) not in other:
                    since_ms, _, step = name.partition(":")
                    entry = (key, int(since_ms), step)
                    if entries is old:
                        self._stuck.discard(entry)
                        self._deletes.append(_stuck_key(*entry))
                    else:
                        self._stuck.add(entry)
                        self._puts.append(_stuck_key(*entry))

    def take_changes(self) -> IndexChanges:
        """What is to be written since the last call, together with the changed sagas."""
        counts = orjson.dumps({"tickets": self._tickets_issued, **self.counts.document()})
        changes = IndexChanges(self._puts, self._deletes, _due_key(self._passed(), b""), counts)
        self._puts, self._deletes = [], []
        return changes

    def look_ahead(self, now_ms: int) -> None:
        """Loads the next due times into memory. To be called only while no change is unsaved."""
        due_times = self.due_times
        first = due_times.next_ms()
        backlog = first is not None and first <= now_ms and len(due_times) >= _MAX_OVERDUE
        if backlog or due_times.until_ms > now_ms + _LOOK_AHEAD_MS // 2:
            return
        until = now_ms + _LOOK_AHEAD_MS
        keys = self._scan(_due_key(due_times.until_ms, b""), _due_key(until, b""))
        entries = [_due_entry(key) for key in islice(keys, _CHUNK)]
        if len(entries) == _CHUNK:  # more to come: read to the end of the last entry's millisecond
            last = entries[-1][0]
            entries.extend(takewhile(lambda entry: entry[0] == last, map(_due_entry, keys)))
            until = last + 1
        due_times.extend(entries, until)

    def take_ticket(self, step: str) -> bytes | None:
        """Takes the next ticket of a step's queue; returns its key. It may be stale: check that the saga still waits.

        To be called only while no change is unsaved.
        """
        tickets = self._loaded_tickets.get(step)
        if not tickets:
            first = _queue_key(step, 0, b"")
            start, after = len(first), self._last_taken.get(step, first) + b"\x00"
            found = islice(self._scan(after, _queue_key(step, _LAST_TICKET, b"")), _CHUNK)
            tickets = self._loaded_tickets[step] = deque((ticket, ticket[start:]) for ticket in found)
        if not tickets:
            return None
        ticket, key = tickets.popleft()
        self._last_taken[step] = ticket
        self._deletes.append(ticket)
        return key

    def _passed(self) -> int:
        """The start (ms since 1970) of the earliest bucket that may still have a timer; 0 if it has not moved."""
        first = self.due_times.next_ms()
        start = bucket(self.due_times.until_ms if first is None else first)
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


def _stuck_key(key: bytes, since_ms: int, step: str) -> bytes:
    return _STUCK + since_ms.to_bytes(8, "big") + step.encode() + b"\x00" + key


def _stuck_entry(stuck: bytes) -> tuple[bytes, int, str]:
    start = len(_STUCK) + 8
    step, _, key = stuck[start:].partition(b"\x00")
    return key, int.from_bytes(stuck[start - 8 : start], "big"), step.decode()
