"""Drain: all orders take a step together, and each phase is timed from its first input to its last committed output."""

import time
from collections import Counter
from typing import Any

from tests.benchmarks.clients import Cluster, Sender, Trouble, header, reader, waiting
from tests.benchmarks.messages import COMMANDS, OUTCOMES, Orders, Phase, phases
from tests.benchmarks.processes import Processes, Spent


class Drain:
    """One drain. Frozen, the orchestrator stands still while a phase's backlog is produced, and the clock too."""

    def __init__(self, cluster: Cluster, tested: Processes, broker: Processes, *, frozen: bool, timeout: float) -> None:
        self._sender = Sender(cluster, linger_ms=20)
        self._consumer = reader(cluster, (*COMMANDS, OUTCOMES), "end")
        self._tested = tested
        self._broker = broker
        self._frozen = frozen
        self._deadline = time.monotonic() + timeout

    def run(self, orders: Orders, count: int) -> dict[str, Any]:
        """Takes so many orders through all phases. Raises Trouble when that is not done in time."""
        waiting(self._consumer, 0.2)  # so that its connections are made before the clock runs
        planned = phases(orders, count)
        spent = Spent(self._tested, self._broker)
        seconds = {phase.name: self._take(phase) for phase in planned}
        costs = spent.on(count)
        self._consumer.close()
        return {
            "test": "drain",
            "orders": count,
            "seconds": {name: round(took, 3) for name, took in seconds.items()},
            "sagas_per_s": count / sum(seconds.values()),
            **costs,
        }

    def _take(self, phase: Phase) -> float:
        """The seconds of a phase."""
        started = time.perf_counter()
        if self._frozen:
            with self._tested.paused():
                self._produce(phase)
            started = time.perf_counter()
        else:
            self._produce(phase)
        self._await(phase)
        return time.perf_counter() - started

    def _produce(self, phase: Phase) -> None:
        for record in phase.records:
            self._sender.send(record)
        self._sender.flush()

    def _await(self, phase: Phase) -> None:
        """Reads until each awaited type was seen as often as it must be."""
        missing = Counter(phase.awaited)
        while missing := +missing:
            messages = waiting(self._consumer, 0.1)
            missing.subtract(header(message, "ce_type") for message in messages)
            if not messages and self._tested.gone():
                raise Trouble("the orchestrator has ended")
            if time.monotonic() > self._deadline:
                raise Trouble(f"phase {phase.name} timed out, still missing: {dict(+missing)}")
