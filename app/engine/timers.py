"""Which keys wait for the time, by when: the near part of the index that the store keeps on disk."""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

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
        # Overtaken entries stay until they come up or are the most of all: with long time-outs they would pile up.
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._due)

    def note(self, key: bytes, due_ms: int | None) -> None:
        """From now on the key waits for that time; for None, or a time that is far away, it is not watched here."""
        if due_ms is None or bucket(due_ms) >= self.until_ms:
            self._due.pop(key, None)
        elif self._due.get(key) != due_ms:
            self._due[key] = due_ms
            heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(due, key) for key, due in self._due.items()]
            heapify(self._heap)

    def extend(self, entries: Iterable[tuple[int, bytes]], until_ms: int) -> None:
        """Watches these too, which the index has between the last `until_ms` and this one, earliest first."""
        self.until_ms = until_ms
        for due_ms, key in entries:
            if key not in self._due:
                self.note(key, due_ms)

    def next_ms(self) -> int | None:
        """The earliest due time."""
        while self._heap and not self._counts(*self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, until_ms: int) -> tuple[int, bytes] | None:
        """The (due time, key) that is due by then, the earliest one; it is watched no more."""
        due = self.next_ms()
        if due is None or due > until_ms:
            return None
        key = heappop(self._heap)[1]
        del self._due[key]
        return due, key

    def _counts(self, due_ms: int, key: bytes) -> bool:
        return self._due.get(key) == due_ms
