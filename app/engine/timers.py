"""Which keys wait for the time, by when: the near part of the index that the store keeps on disk."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush, heapreplace

_SLACK = 1000
_BUCKET_BITS = 16


def bucket(due_ms: int) -> int:
    """The start of the bucket (about a minute) that a time (ms since 1970) is in."""
    return due_ms >> _BUCKET_BITS << _BUCKET_BITS


class Timers:
    """The due time (ms since 1970) of each key that waits for one in a bucket that begins before `until_ms`.

    What was noted is what is so; what was loaded from the index may be overtaken, and is checked when it comes up.
    """

    def __init__(self) -> None:
        self.until_ms = 0
        self._due: dict[bytes, int] = {}
        # Whoever waits has an entry no later than its due time. Most due times move to be later, which costs nothing
        # until the entry comes up; those overtaken stay until then, or until they are the most of all.
        self._heap: list[tuple[int, bytes]] = []
        self._entry: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def note(self, key: bytes, due_ms: int | None) -> None:
        """From now on the key waits for that time; for None, or a time that is far away, it is not watched here."""
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
        """Watches these too, which the index has between the last `until_ms` and this one, earliest first."""
        self.until_ms = until_ms
        for due_ms, key in entries:
            if key not in self._due:
                self.note(key, due_ms)

    def next_ms(self) -> int | None:
        """The earliest due time, or an earlier one that has moved since; what is settled has not."""
        return self._heap[0][0] if self._due else None

    def settle(self, until_ms: int) -> None:
        """From now on `next_ms` is a due time, if it is before that time."""
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
        """The (due time, key) that is due by then, the earliest one; it is watched no more."""
        self.settle(until_ms)
        due = self.next_ms()
        if due is None or due > until_ms:
            return None
        key = heappop(self._heap)[1]
        del self._due[key], self._entry[key]
        return due, key
