"""The queues of steps, as the decisions alone show them."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator

from tests.simulation.judge.violation import Violation

IsQueued = Callable[[bytes, str], bool]


class AdmissionQueues:
    """The sagas queued for each step of one partition, first come first served.

    A saga that is queued again gets a new ticket; an old one that is left may admit it too, as it waited for longer.
    """

    def __init__(self) -> None:
        self._tickets: dict[str, deque[tuple[bytes, int]]] = defaultdict(deque)
        self._newest: dict[tuple[bytes, str], int] = {}
        self._enqueued: Counter[tuple[bytes, str]] = Counter()

    def enqueue(self, key: bytes, step: str) -> None:
        """The saga is queued for the step."""
        self._enqueued[key, step] += 1
        self._add_ticket(key, step)

    def _add_ticket(self, key: bytes, step: str) -> None:
        number = self._newest[key, step] = self._newest.get((key, step), 0) + 1
        self._tickets[step].append((key, number))

    def take_over(self, tickets: dict[str, list[bytes]]) -> None:
        """A new owner found these tickets; those that it restored are in the order of the changelog."""
        self._tickets.clear()
        self._newest.clear()
        for step, keys in tickets.items():
            for key in keys:
                self._add_ticket(key, step)

    def admit(self, key: bytes, step: str, is_queued: IsQueued, *, in_this_commit: bool) -> Iterator[Violation]:
        """The saga was admitted: none before it may still be queued. `in_this_commit`: it was queued in this one."""
        queue, earlier = self._tickets[step], self._enqueued[key, step] - (not in_this_commit)
        while queue:
            first, number = queue.popleft()
            if first == key:
                return
            if is_queued(first, step) and number == self._newest[first, step]:
                queue.appendleft((first, number))
                self._use_ticket(key, step)
                if earlier:
                    return
                yield Violation("queue order", key.decode(), f"it was admitted to {step} before {first.decode()}")
                return
        if not earlier:
            yield Violation("queue order", key.decode(), f"it was admitted to {step} without a ticket")

    def _use_ticket(self, key: bytes, step: str) -> None:
        """Removes one ticket of the saga."""
        queue = self._tickets[step]
        own = next((ticket for ticket in queue if ticket[0] == key), None)
        if own is not None:
            queue.remove(own)
