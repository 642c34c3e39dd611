"""Closed loop: a constant number of orders is in flight; for each that ends, another one is placed."""

import time
from typing import Any

from tests.benchmarks.clients import Cluster, MeasurementFailed, Sender, header, poll_batch, topic_reader
from tests.benchmarks.messages import FINAL, OUTCOMES, Orders
from tests.benchmarks.participants import participants
from tests.benchmarks.processes import Processes, Usage

_LINGER_MS = 1


def closed_loop(
    cluster: Cluster, orders: Orders, count: int, in_flight: int, tested: Processes, broker: Processes, timeout: float
) -> dict[str, Any]:
    """Takes `count` orders from placed to ended, with instant participants. Raises MeasurementFailed on time-out."""
    with participants(cluster, orders, _LINGER_MS):
        loop = _Loop(cluster, orders, count)
        poll_batch(loop.consumer, 0.2)  # connects before the clock starts
        usage = Usage(tested, broker)
        started = time.monotonic()
        loop.run(in_flight, started + timeout)
        seconds = time.monotonic() - started
        costs = usage.per_saga(count)
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
        self.consumer = topic_reader(cluster, (OUTCOMES,), "end")
        self._sender = Sender(cluster, _LINGER_MS)
        self._orders = orders
        self._count = count
        self._placed = self._ended = 0

    def run(self, in_flight: int, deadline: float) -> None:
        """Returns when all orders have ended."""
        self._place(in_flight)
        while self._ended < self._count:
            ended = sum(map(self._is_end, poll_batch(self.consumer, 0.02)))
            self._ended += ended
            self._place(ended)
            if time.monotonic() > deadline:
                raise MeasurementFailed(f"only {self._ended} of {self._count} orders ended in time")

    def _place(self, more: int) -> None:
        until = min(self._placed + more, self._count)
        for number in range(self._placed, until):
            self._sender.send(self._orders.place(number))
        self._placed = until

    def _is_end(self, message: Any) -> bool:
        return self._orders.number(message.key().decode()) is not None and header(message, "ce_type") in FINAL
