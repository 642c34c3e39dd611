"""The lines of those that wait for room, kept from the decisions alone."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator

from tests.simulation.judge.violation import Violation

Waits = Callable[[bytes, str], bool]


class Lines:
    """Who waits for a step of one partition, in the order in which they began to.

    Whoever waits anew gets a new ticket; an old one, if it is still there, may let it in too: it waited for longer.
    """

    def __init__(self) -> None:
        self._tickets: dict[str, deque[tuple[bytes, int]]] = defaultdict(deque)
        self._newest: dict[tuple[bytes, str], int] = {}
        self._waited: Counter[tuple[bytes, str]] = Counter()

    def join(self, key: bytes, step: str) -> None:
        """It has begun to wait."""
        self._waited[key, step] += 1
        self._stand(key, step)

    def _stand(self, key: bytes, step: str) -> None:
        number = self._newest[key, step] = self._newest.get((key, step), 0) + 1
        self._tickets[step].append((key, number))

    def take_over(self, tickets: dict[str, list[bytes]]) -> None:
        """A new owner found these: what it restored, it puts in the changelog's order."""
        self._tickets.clear()
        self._newest.clear()
        for step, keys in tickets.items():
            for key in keys:
                self._stand(key, step)

    def let_in(self, key: bytes, step: str, waits: Waits, *, anew: bool) -> Iterator[Violation]:
        """It was let in: nobody before it may still wait. `anew`: it has begun to wait since the last commit."""
        line, before = self._tickets[step], self._waited[key, step] - (not anew)
        while line:
            first, number = line.popleft()
            if first == key:
                return
            if waits(first, step) and number == self._newest[first, step]:
                line.appendleft((first, number))
                self._drop(key, step)
                if before:
                    return
                yield Violation("order", key.decode(), f"it was let in to {step} before {first.decode()}")
                return
        if not before:
            yield Violation("order", key.decode(), f"it was let in to {step} without a ticket")

    def _drop(self, key: bytes, step: str) -> None:
        """One ticket of it is used up."""
        line = self._tickets[step]
        mine = next((ticket for ticket in line if ticket[0] == key), None)
        if mine is not None:
            line.remove(mine)
