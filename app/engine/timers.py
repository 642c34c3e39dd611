"""Which keys wait for the time, by when: an index beside the state, which alone says what is really due."""

from heapq import heappop, heappush


class Timers:
    """Due times (ms since 1970) of keys. A key is here for each time it ever waited for: its state says what counts."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, bytes]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due_ms: int, key: bytes) -> None:
        """Remembers that a key waits."""
        heappush(self._heap, (due_ms, key))

    def next_ms(self) -> int | None:
        """The earliest due time."""
        return self._heap[0][0] if self._heap else None

    def take(self, now_ms: int, most: int) -> list[tuple[int, bytes]]:
        """Up to so many of those due by now, the earliest first; they are forgotten."""
        taken: list[tuple[int, bytes]] = []
        while self._heap and len(taken) < most and self._heap[0][0] <= now_ms:
            taken.append(heappop(self._heap))
        return taken
