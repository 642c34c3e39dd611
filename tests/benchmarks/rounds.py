"""Rounds: in each, every orchestrator alone does the same, on the same broker; the order turns with every round."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from typing import Any

from tests.benchmarks.clients import Trouble
from tests.benchmarks.cost import Written, written
from tests.benchmarks.figures import Run, of_load
from tests.benchmarks.peers import Driver, Peer, running
from tests.benchmarks.site import Site

Say = Callable[[str], None]
_BROKER_WARM_UP = ((1_000, 40),)  # until then its JVM compiles, on a core that would be missing elsewhere


@dataclass(frozen=True, slots=True)
class Ground:
    """The brokers, the folder of the first one's data, and a folder of our own."""

    bootstrap: str
    data: Path
    home: Path

    def site(self, number: int, peer: Peer, part: str = "steady") -> Site:
        """Where that orchestrator works in that round."""
        prefix = f"{part}-{number}-{peer.name.replace(' ', '-')}."
        return Site(self.bootstrap, prefix, self.home / prefix)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: so many orders drained (0: none), so many in a closed loop (0: none) of so many at a time, and
    latency at rates (orders a second), each for some seconds."""

    rounds: int
    warm_up_share: float
    drain: int
    closed: int
    in_flight: int
    rates: tuple[tuple[int, int], ...]
    lead_seconds: int = 3  # at the same rate, before latency is measured

    @property
    def steady(self) -> bool:
        """Whether there is anything to measure."""
        return bool(self.drain or self.closed or self.rates)


def play(plan: Plan, peers: Sequence[Peer], driver: Driver, ground: Ground, say: Say) -> Iterator[Run]:
    """The runs, as they are done. Before the first round one that doesn't count warms the broker up."""

    def run(number: int, peer: Peer, what: Plan) -> Run:
        return _Playing(what, peer, driver, ground.site(number, peer), ground.data, number, say).run()

    first = run(0, peers[0], replace(plan, rates=_BROKER_WARM_UP if plan.rates else ()))
    yield replace(first, figures={})
    for number in range(1, plan.rounds + 1):
        for peer in turned(peers, number):
            yield run(number, peer, plan)


def turned(peers: Sequence[Peer], number: int) -> Iterable[Peer]:
    """In which order they are measured in a round, so that none is always the first."""
    return peers if number % 2 else reversed(peers)


class _Playing:
    """One orchestrator in one round."""

    def __init__(self, plan: Plan, peer: Peer, driver: Driver, site: Site, data: Path, number: int, say: Say) -> None:
        self._plan = plan
        self._peer = peer
        self._driver = driver
        self._site = site
        self._data = data
        self._number = number
        self._tell = say
        self._placed = 0
        self._figures: dict[str, float] = {}

    def run(self) -> Run:
        """Starts it, warms it up, measures it, looks whether all was right."""
        wrong: Sequence[str]
        try:
            with running(self._peer, self._site) as pid:
                self._measure(pid)
                wrong = self._driver.verify(self._site, self._placed)
        except Trouble as trouble:
            wrong = (str(trouble),)
        for sentence in wrong:
            self._say(f"WRONG: {sentence}")
        return Run(self._number, self._peer.name, self._figures, wrong)

    def _measure(self, pid: int) -> None:
        share = self._plan.warm_up_share
        self._drain(pid, round(self._peer.warm_up * share), freeze=False)
        if self._plan.drain:
            self._note_load("first drain", self._drain(pid, self._plan.drain, freeze=True))
        if self._peer.until_hot:
            self._drain(pid, round(self._peer.until_hot * share), freeze=False)
        if self._plan.drain:
            before = written(self._site, self._data)
            self._note_load("drain", self._drain(pid, self._plan.drain, freeze=True))
            self._note_cost("drain", before, self._plan.drain)
        if self._plan.closed:
            self._note_load(f"{self._plan.in_flight:,} in flight", self._closed(pid))
        for rate, seconds in self._plan.rates:
            if rate <= self._peer.most_a_second:
                self._latency(pid, rate, seconds)

    def _drain(self, pid: int, count: int, *, freeze: bool) -> dict[str, Any]:
        self._placed += count
        return self._driver.measure("drain", self._site, [pid], orders=count, freeze=str(freeze).lower(), timeout=150)

    def _closed(self, pid: int) -> dict[str, Any]:
        count, in_flight = self._plan.closed, self._plan.in_flight
        self._placed += count
        options = {"orders": count, "in-flight": in_flight, "timeout": 150}
        return self._driver.measure("closed", self._site, [pid], **options)

    def _note_load(self, name: str, result: dict[str, Any]) -> None:
        for figure, value in of_load(result).items():
            self._note(f"{name}: {figure}", value)
        self._say(f"{name}: {result['orders']:,} orders, {result['sagas_per_s']:,.0f} sagas/s")

    def _note_cost(self, name: str, before: Written, sagas: int) -> None:
        for figure, value in written(self._site, self._data).since(before).of_each(sagas).items():
            self._note(f"{name}: {figure}", value)

    def _latency(self, pid: int, rate: int, seconds: int) -> None:
        lead = self._plan.lead_seconds
        self._placed += rate * (lead + seconds)
        before = written(self._site, self._data)
        result = self._driver.measure("latency", self._site, [pid], rate=rate, seconds=seconds, warmup=lead)
        for name in ("p50", "p90", "p99", "max"):
            self._note(f"{rate}/s: {name} ms", result[f"{name}_ms"])
        self._note(f"{rate}/s: CPU s per 1,000", result["cpu_s_per_1000"])
        self._note(f"{rate}/s: broker CPU s per 1,000", result["broker_cpu_s_per_1000"])
        self._say(f"latency at {rate}/s: p50 {result['p50_ms']:.0f} ms, p99 {result['p99_ms']:.0f} ms")
        self._note_cost(f"{rate}/s", before, rate * (lead + seconds))
        if result["missing"]:
            raise Trouble(f"{result['missing']} of the orders at {rate}/s had no outcome in time")

    def _note(self, name: str, value: float) -> None:
        if value and not isnan(value):  # 0 where the system doesn't tell
            self._figures[name] = value

    def _say(self, line: str) -> None:
        when = f"round {self._number}" if self._number else "to warm up"
        self._tell(f"{when}, {self._peer.name}: {line}")
