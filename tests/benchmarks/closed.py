"""Closed loop: so many orders are under way at any time; for each that ends, another one is placed."""

import time
from typing import Any

from tests.benchmarks.clients import Cluster, Sender, Trouble, header, reader, waiting
from tests.benchmarks.messages import FINAL, OUTCOMES, Orders
from tests.benchmarks.participants import participants
from tests.benchmarks.processes import Processes, Spent

_LINGER_MS = 1


def closed(
    cluster: Cluster, orders: Orders, count: int, in_flight: int, tested: Processes, broker: Processes, timeout: float
) -> dict[str, Any]:
    """Takes so many orders from placed to ended, with instant participants. Raises Trouble when it takes too long."""
    with participants(cluster, orders, _LINGER_MS):
        loop = _Loop(cluster, orders, count)
        waiting(loop.consumer, 0.2)  # so that its connections are made before the clock runs
        spent = Spent(tested, broker)
        started = time.monotonic()
        loop.run(in_flight, started + timeout)
        seconds = time.monotonic() - started
        costs = spent.on(count)
        loop.consumer.close()
    return {
        "test": "closed",
        "orders": count,
        "in_flight": in_flight,
        "seconds": seconds,
        "sagas_per_s": count / seconds,
        **costs,
    }


class _Loop:
    def __init__(self, cluster: Cluster, orders: Orders, count: int) -> None:
        self.consumer = reader(cluster, (OUTCOMES,), "end")
        self._sender = Sender(cluster, _LINGER_MS)
        self._orders = orders
        self._count = count
        self._placed = self._ended = 0

    def run(self, in_flight: int, deadline: float) -> None:
        """Returns when all have ended."""
        self._place(in_flight)
        while self._ended < self._count:
            ended = sum(map(self._is_end, waiting(self.consumer, 0.02)))
            self._ended += ended
            self._place(ended)
            if time.monotonic() > deadline:
                raise Trouble(f"only {self._ended} of {self._count} orders ended in time")

    def _place(self, more: int) -> None:
        until = min(self._placed + more, self._count)
        for number in range(self._placed, until):
            self._sender.send(self._orders.place(number))
        self._placed = until

    def _is_end(self, message: Any) -> bool:
        return self._orders.number(message.key().decode()) is not None and header(message, "ce_type") in FINAL
