"""The timers that are due soon, in memory: the near part of the due times that the index keeps on disk."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace

_SLACK = 1000
_BUCKET_BITS = 16


def bucket(due_ms: int) -> int:
    """The start of the bucket (about a minute) that a time is in; both in ms since 1970."""
    return due_ms >> _BUCKET_BITS << _BUCKET_BITS


class DueTimes:
    """The due time (ms since 1970) of each key whose timer is in a bucket that begins before `until_ms`.

    `note` is authoritative. Entries loaded from the index may be stale, and are checked when they come up.
    """

    def __init__(self) -> None:
        self.until_ms = 0
        self._due: dict[bytes, int] = {}
        # Each waiting key has a heap entry no later than its due time. Most due times only move later, which costs
        # nothing until the entry comes up; stale entries stay until then, or until they outnumber the others.
        self._heap: list[tuple[int, bytes]] = []
        self._entry: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def note(self, key: bytes, due_ms: int | None) -> None:
        """Sets the due time of a key; None, or a time beyond `until_ms`, removes it."""
        if due_ms is None or bucket(due_ms) >= self.until_ms:
            self._due.pop(key, None)
        else:
            self._due[key] = due_ms
            entry = self._entry.get(key)
            if entry is None or due_ms < entry:
                self._entry[key] = due_ms
                heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(due, key) for key, due in self._due.items()]
            self._entry = dict(self._due)
            heapify(self._heap)

    def extend(self, entries: Iterable[tuple[int, bytes]], until_ms: int) -> None:
        """Adds the index's entries between the last `until_ms` and this one, earliest first."""
        self.until_ms = until_ms
        for due_ms, key in entries:
            if key not in self._due:
                self.note(key, due_ms)

    def next_ms(self) -> int | None:
        """The earliest due time, or an earlier one that has moved since: `settle` rules that out."""
        return self._heap[0][0] if self._due else None

    def settle(self, until_ms: int) -> None:
        """Removes stale entries up to that time, so that `next_ms` is exact if it is not later."""
        heap = self._heap
        while heap and heap[0][0] <= until_ms:
            entry, key = heap[0]
            due = self._due.get(key)
            if due == entry:
                return
            if due is None or self._entry[key] != entry:
                heappop(heap)
            else:
                self._entry[key] = due
                heapreplace(heap, (due, key))
            if due is None and self._entry.get(key) == entry:
                del self._entry[key]

    def take(self, until_ms: int) -> tuple[int, bytes] | None:
        """Removes and returns the earliest (due time, key) that is due by then."""
        self.settle(until_ms)
        due = self.next_ms()
        if due is None or due > until_ms:
            return None
        key = heappop(self._heap)[1]
        del self._due[key], self._entry[key]
        return due, key
