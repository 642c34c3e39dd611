"""Measures in rounds: in each, every orchestrator alone does the same on the same broker, in alternating order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from tests.benchmarks.clients import MeasurementFailed
from tests.benchmarks.kafka_writes import KafkaWrites, kafka_writes
from tests.benchmarks.peers import Driver, Peer, running
from tests.benchmarks.stats import Run, load_figures
from tests.benchmarks.workspace import Workspace

Say = Callable[[str], None]
_BROKER_WARM_UP = ((1_000, 40),)  # after that its JVM no longer compiles on a core that the peers need


@dataclass(frozen=True, slots=True)
class Bench:
    """The brokers, the data folder of the first one, and a folder for workspaces."""

    bootstrap: str
    data: Path
    home: Path

    def workspace(self, number: int, peer: Peer, part: str = "steady") -> Workspace:
        """The workspace of an orchestrator in a round."""
        prefix = f"{part}-{number}-{peer.name.replace(' ', '-')}."
        return Workspace(self.bootstrap, prefix, self.home / prefix, settings=peer.settings)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure: orders to drain (0: none), orders in a closed loop (0: none) and how many of them are in flight,
    and latency at rates (orders per second), each for some seconds.
    """

    rounds: int
    warm_up_share: float
    drain: int
    closed: int
    in_flight: int
    rates: tuple[tuple[int, int], ...]
    lead_seconds: int = 3  # at the same rate before the measurement

    @property
    def steady(self) -> bool:
        """Whether there is anything to measure besides starts and sizes."""
        return bool(self.drain or self.closed or self.rates)


def measure_rounds(plan: Plan, peers: Sequence[Peer], driver: Driver, bench: Bench, say: Say) -> Iterator[Run]:
    """Yields the runs as they are done. A run that doesn't count warms up the broker before the first round."""

    def run(number: int, peer: Peer, plan: Plan) -> Run:
        return _Measurement(plan, peer, driver, bench.workspace(number, peer), bench.data, number, say).run()

    first = run(0, peers[0], replace(plan, rates=_BROKER_WARM_UP if plan.rates else ()))
    yield replace(first, figures={})
    for number in range(1, plan.rounds + 1):
        for peer in peer_order(peers, number):
            yield run(number, peer, plan)


def peer_order(peers: Sequence[Peer], number: int) -> Iterable[Peer]:
    """The order of the peers in a round; it alternates, so that none is always the first."""
    return peers if number % 2 else reversed(peers)


class _Measurement:
    """One orchestrator in one round."""

    def __init__(
        self, plan: Plan, peer: Peer, driver: Driver, workspace: Workspace, data: Path, number: int, say: Say
    ) -> None:
        self._plan = plan
        self._peer = peer
        self._driver = driver
        self._workspace = workspace
        self._data = data
        self._number = number
        self._say_line = say
        self._placed = 0
        self._figures: dict[str, float] = {}

    def run(self) -> Run:
        """Starts it, warms it up, measures it, and verifies all orders."""
        errors: Sequence[str]
        try:
            with running(self._peer, self._workspace) as pid:
                self._measure(pid)
                errors = self._driver.verify(self._workspace, self._placed)
        except MeasurementFailed as failed:
            errors = (str(failed),)
        for error in errors:
            self._say(f"ERROR: {error}")
        return Run(self._number, self._peer.name, self._figures, errors)

    def _measure(self, pid: int) -> None:
        share = self._plan.warm_up_share
        self._drain(pid, round(self._peer.warm_up * share), freeze=False)
        if self._plan.drain:
            self._note_load("first drain", self._drain(pid, self._plan.drain, freeze=True))
        if self._peer.until_compiled:
            self._drain(pid, round(self._peer.until_compiled * share), freeze=False)
        if self._plan.drain:
            before = kafka_writes(self._workspace, self._data)
            self._note_load("drain", self._drain(pid, self._plan.drain, freeze=True))
            self._note_cost("drain", before, self._plan.drain)
        if self._plan.closed:
            self._note_load(f"{self._plan.in_flight:,} in flight", self._closed(pid))
        for rate, seconds in self._plan.rates:
            if rate <= self._peer.max_rate:
                self._latency(pid, rate, seconds)

    def _drain(self, pid: int, count: int, *, freeze: bool) -> dict[str, Any]:
        self._placed += count
        return self._driver.measure(
            "drain", self._workspace, [pid], orders=count, freeze=str(freeze).lower(), timeout=150
        )

    def _closed(self, pid: int) -> dict[str, Any]:
        count, in_flight = self._plan.closed, self._plan.in_flight
        self._placed += count
        options = {"orders": count, "in-flight": in_flight, "timeout": 150}
        return self._driver.measure("closed", self._workspace, [pid], **options)

    def _note_load(self, name: str, result: dict[str, Any]) -> None:
        for figure, value in load_figures(result).items():
            self._note(f"{name}: {figure}", value)
        self._say(f"{name}: {result['orders']:,} orders, {result['sagas_per_s']:,.0f} sagas/s")

    def _note_cost(self, name: str, before: KafkaWrites, sagas: int) -> None:
        for figure, value in kafka_writes(self._workspace, self._data).since(before).per_saga(sagas).items():
            self._note(f"{name}: {figure}", value)

    def _latency(self, pid: int, rate: int, seconds: int) -> None:
        lead = self._plan.lead_seconds
        self._placed += rate * (lead + seconds)
        before = kafka_writes(self._workspace, self._data)
        result = self._driver.measure("latency", self._workspace, [pid], rate=rate, seconds=seconds, warmup=lead)
        for name in ("p50", "p90", "p99", "max"):
            self._note(f"{rate}/s: {name} ms", result[f"{name}_ms"])
        self._note(f"{rate}/s: CPU s per 1,000", result["cpu_s_per_1000"])
        self._note(f"{rate}/s: broker CPU s per 1,000", result["broker_cpu_s_per_1000"])
        self._say(f"latency at {rate}/s: p50 {result['p50_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms")
        self._note_cost(f"{rate}/s", before, rate * (lead + seconds))
        if result["missing"]:
            raise MeasurementFailed(f"{result['missing']} of the orders at {rate}/s had no outcome in time")

    def _note(self, name: str, value: float) -> None:
        if value and not isnan(value):  # 0 where /proc doesn't have it
            self._figures[name] = value

    def _say(self, line: str) -> None:
        when = f"round {self._number}" if self._number else "warm-up"
        self._say_line(f"{when}, {self._peer.name}: {line}")
