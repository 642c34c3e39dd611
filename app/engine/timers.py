"""Which keys wait for the time, by when: an index beside the state."""

from heapq import heapify, heappop, heappush

_SLACK = 1000


class Timers:
    """The due time (ms since 1970) of each key that waits for one; a key waits for one at most."""

    def __init__(self) -> None:
        self._due: dict[bytes, int] = {}
        # Overtaken entries stay until they come up or are the most of all: with long time-outs they would pile up.
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._due)

    def note(self, key: bytes, due_ms: int | None) -> None:
        """From now on the key waits for that time; for None, it waits for none."""
        if due_ms is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due_ms:
            self._due[key] = due_ms
            heappush(self._heap, (due_ms, key))
        if len(self._heap) > 2 * len(self._due) + _SLACK:
            self._heap = [(due, key) for key, due in self._due.items()]
            heapify(self._heap)

    def next_ms(self) -> int | None:
        """The earliest due time."""
        while self._heap and not self._counts(*self._heap[0]):
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, until_ms: int, most: int) -> list[tuple[int, bytes]]:
        """Up to so many (due time, key) that are due by then, the earliest first; they wait no more."""
        taken: list[tuple[int, bytes]] = []
        while len(taken) < most and (due := self.next_ms()) is not None and due <= until_ms:
            key = heappop(self._heap)[1]
            del self._due[key]
            taken.append((due, key))
        return taken

    def _counts(self, due_ms: int, key: bytes) -> bool:
        return self._due.get(key) == due_ms
