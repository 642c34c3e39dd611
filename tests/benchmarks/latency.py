"""Latency in open loop: from when an order is due to be placed until its final outcome is read."""

import time
from threading import Event, Thread
from typing import Any

from confluent_kafka import Consumer

from tests.benchmarks.clients import Cluster, Sender, header, poll_batch, topic_reader
from tests.benchmarks.messages import FINAL, OUTCOMES, Orders
from tests.benchmarks.participants import participants
from tests.benchmarks.processes import Processes, Usage
from tests.benchmarks.stats import percentile

_LAST_SECONDS = 15.0  # wait for the last outcomes


class OutcomeReader(Thread):
    """Notes when (performance counter) the final outcome of each order was first read, until all have one."""

    def __init__(self, consumer: Consumer, orders: Orders, count: int) -> None:
        super().__init__(name="outcomes", daemon=True)
        self._consumer = consumer
        self._orders = orders
        self._count = count
        self._ending = Event()
        self.at: dict[int, float] = {}

    def run(self) -> None:
        """Reads outcomes."""
        while len(self.at) < self._count and not self._ending.is_set():
            messages = poll_batch(self._consumer, 0.1)
            now = time.perf_counter()
            for message in messages:
                number = self._orders.number(message.key().decode())
                if number is not None and header(message, "ce_type") in FINAL:
                    self.at.setdefault(number, now)
        self._consumer.close()

    def finish(self, seconds: float) -> None:
        """Waits this long for the last outcomes, then stops."""
        self.join(seconds)
        self._ending.set()
        self.join()


class OpenLoop:
    """Places orders at a fixed rate. `skipped`: orders of the warm-up, which don't count."""

    def __init__(self, rate: float, warmup_seconds: float, seconds: float) -> None:
        self._rate = rate
        self.skipped = round(rate * warmup_seconds)
        self.count = self.skipped + round(rate * seconds)
        self.started = 0.0

    def due(self, number: int) -> float:
        """When an order is to be placed (performance counter)."""
        return self.started + number / self._rate

    def place(self, sender: Sender, orders: Orders, tested: Processes, broker: Processes) -> dict[str, float]:
        """Places all orders, each when it is due; returns the processor time spent on the measured ones."""
        records = [orders.place(number) for number in range(self.count)]
        usage = Usage(tested, broker)
        self.started = time.perf_counter()
        for number, record in enumerate(records):
            time.sleep(max(0.0, self.due(number) - time.perf_counter()))
            if number == self.skipped:
                usage = Usage(tested, broker)
            sender.send(record)
        sender.flush()
        return usage.per_saga(self.count - self.skipped)


def latency(cluster: Cluster, orders: Orders, load: OpenLoop, tested: Processes, broker: Processes) -> dict[str, Any]:
    """Places orders at the rate, with instant participants; times are in milliseconds."""
    with participants(cluster, orders):
        outcomes = OutcomeReader(topic_reader(cluster, (OUTCOMES,), "end"), orders, load.count)
        outcomes.start()
        sender = Sender(cluster, linger_ms=0)
        costs = load.place(sender, orders, tested, broker)
        outcomes.finish(_LAST_SECONDS)
    measured = range(load.skipped, load.count)
    took = sorted(1_000 * (outcomes.at[number] - load.due(number)) for number in measured if number in outcomes.at)
    return {
        "test": "latency",
        "orders": load.count,
        "missing": len(measured) - len(took),
        **{f"{name}_ms": percentile(took, share) for name, share in _SHARES.items()},
        **costs,
    }


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
