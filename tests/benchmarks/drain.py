"""Drain: all orders take each step together; a phase is timed from its first input to its last committed output."""

import time
from collections import Counter
from typing import Any

from tests.benchmarks.clients import Cluster, MeasurementFailed, Sender, header, poll_batch, topic_reader
from tests.benchmarks.messages import COMMANDS, OUTCOMES, Orders, Phase, phases
from tests.benchmarks.processes import Processes, Usage


class Drain:
    """One drain. `frozen`: the orchestrator is paused while a phase's backlog is produced; the clock starts then."""

    def __init__(self, cluster: Cluster, tested: Processes, broker: Processes, *, frozen: bool, timeout: float) -> None:
        self._sender = Sender(cluster, linger_ms=20)
        self._consumer = topic_reader(cluster, (*COMMANDS, OUTCOMES), "end")
        self._tested = tested
        self._broker = broker
        self._frozen = frozen
        self._deadline = time.monotonic() + timeout

    def run(self, orders: Orders, count: int) -> dict[str, Any]:
        """Takes `count` orders through all phases. Raises MeasurementFailed on time-out."""
        poll_batch(self._consumer, 0.2)  # connects before the clock starts
        planned = phases(orders, count)
        usage = Usage(self._tested, self._broker)
        seconds = {phase.name: self._seconds_of(phase) for phase in planned}
        costs = usage.per_saga(count)
        self._consumer.close()
        return {
            "test": "drain",
            "orders": count,
            "seconds": {name: round(took, 3) for name, took in seconds.items()},
            "sagas_per_s": count / sum(seconds.values()),
            **costs,
        }

    def _seconds_of(self, phase: Phase) -> float:
        """The duration of a phase in seconds."""
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
        """Reads until each expected record type was seen as often as expected."""
        missing = Counter(phase.expected)
        while missing := +missing:
            messages = poll_batch(self._consumer, 0.1)
            missing.subtract(header(message, "ce_type") for message in messages)
            if not messages and self._tested.gone():
                raise MeasurementFailed("the orchestrator has ended")
            if time.monotonic() > self._deadline:
                raise MeasurementFailed(f"phase {phase.name} timed out; missing: {dict(+missing)}")
