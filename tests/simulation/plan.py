"""What a world is like and all that goes wrong in it, drawn from one seed."""

from dataclasses import dataclass
from random import Random

from app.saga.definition import DAY_MS, Saga, with_policy
from app.saga.versions import Versions
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
CHANGELOG_ID = "the changelog"


@dataclass(frozen=True, slots=True)
class Whims:
    """How participants misbehave: shares of commands, but for `refuse`, which is one of orders. Times in ms."""

    refuse: float = 0.0
    fail: float = 0.0
    fail_for_good: float = 0.0
    drop: float = 0.0
    lose: float = 0.0
    duplicate: float = 0.0
    slow: float = 0.0
    latency_ms: int = 50


@dataclass(frozen=True, slots=True)
class People:
    """What shops, operators and strangers do, as shares of orders."""

    cancel: float = 0.0
    again: float = 0.0
    conflict: float = 0.0
    operate: float = 0.0
    see_to_stuck: float = 0.0
    poison: float = 0.0
    astray: float = 0.0


@dataclass(frozen=True, slots=True)
class Hardship:
    """What happens to pods: effects between two crashes (0: none), how long the next one takes to come (ms), what
    becomes of the disk, clocks that are wrong."""

    crash_every: int = 0
    absent_ms: int = 0
    lost_disk: float = 0.0
    lost_writes: float = 0.0
    other_disk: float = 0.0
    handover: float = 0.0
    skew_ms: int = 0
    jump: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A participant reads nothing from one time to another (true time, ms)."""

    step: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One world. `healed`: operators retry in the end what is stuck; `short`: ended sagas are soon forgotten."""

    seed: int
    sagas: int
    versions: Versions
    partitions: int
    limit: int
    cached: int
    batch: int
    fetch: tuple[int, ...]
    tick_ms: tuple[int, ...]
    span_ms: int
    real_disk: bool
    healed: bool
    short: bool
    whims: Whims
    people: People
    hardship: Hardship
    outages: tuple[Outage, ...]

    @property
    def saga(self) -> Saga:
        """The saga that is run."""
        return self.versions.latest

    def says(self) -> str:
        """In a line, what matters of it."""
        parts = (self.saga.name, f"{self.partitions} partitions", f"limit {self.limit}", self.whims, self.people)
        return ", ".join(map(str, (*parts, self.hardship, *self.outages)))


def draw(seed: int, sagas: int) -> Plan:
    """The world of that seed."""
    chance = Random(f"plan {seed}")
    pick = chance.choice
    short = chance.random() < 0.4
    saga = _saga(chance, short=short)
    span_ms = sagas * pick((5, 20, 60))
    return Plan(
        seed,
        sagas,
        Versions((saga,)),
        partitions=pick((1, 2, 3)),
        limit=pick((2, 5, 20, 100, 1000)),
        cached=pick((20, 1000, 100_000)),
        batch=pick((10, 100, 4000)),
        fetch=pick(((500,), (20, 100), (3, 30, 300))),
        tick_ms=pick(((0, 100, 300), (200, 500), (0, 0, 50, 1000))),
        span_ms=span_ms,
        real_disk=seed % 20 == 0,
        healed=chance.random() < 0.5,
        short=short,
        whims=_whims(chance),
        people=_people(chance),
        hardship=_hardship(chance, sagas),
        outages=tuple(_outages(chance, saga, span_ms)),
    )


def _saga(chance: Random, *, short: bool) -> Saga:
    return with_policy(
        chance.choice((ORDER, ORDER, SHIPPED_ORDER)),
        timeout_ms=chance.choice((2_000, 5_000, 30_000)),
        attempts=chance.choice((None, None, 2)),
        deadline_ms=chance.choice((None, 20_000, 120_000)),
        remembered_ms=chance.choice((15_000, 60_000)) if short else 7 * DAY_MS,
    )


def _whims(chance: Random) -> Whims:
    return Whims(
        refuse=_share(chance, 0.2),
        fail=_share(chance, 0.2),
        fail_for_good=_share(chance, 0.04),
        drop=_share(chance, 0.1),
        lose=_share(chance, 0.1),
        duplicate=_share(chance, 0.2),
        slow=_share(chance, 0.1),
        latency_ms=chance.choice((20, 100, 500)),
    )


def _people(chance: Random) -> People:
    return People(
        cancel=_share(chance, 0.15),
        again=_share(chance, 0.1),
        conflict=_share(chance, 0.05),
        operate=_share(chance, 0.1),
        see_to_stuck=_share(chance, 1.0),
        poison=_share(chance, 0.05),
        astray=_share(chance, 0.05),
    )


def _hardship(chance: Random, sagas: int) -> Hardship:
    return Hardship(
        crash_every=chance.choice((0, sagas // 2, 2 * sagas, 6 * sagas)),
        absent_ms=chance.choice((0, 3_000, 60_000)),
        lost_disk=chance.choice((0.0, 0.3)),
        lost_writes=chance.choice((0.0, 0.3)),
        other_disk=chance.choice((0.0, 0.3)),
        handover=chance.choice((0.0, 0.3)),
        skew_ms=chance.choice((0, 2_000, 300_000)),
        jump=chance.choice((0.0, 0.0, 0.01)),
    )


def _outages(chance: Random, saga: Saga, span_ms: int) -> list[Outage]:
    away = chance.choice(([], [], [chance.choice(saga.steps)], list(saga.steps)))
    start_ms = START_MS + chance.randrange(span_ms)
    end_ms = start_ms + chance.choice((span_ms // 2, 2 * MINUTE_MS, 10 * MINUTE_MS))
    return [Outage(step.name, start_ms, end_ms) for step in away]


def _share(chance: Random, most: float) -> float:
    """None at all in two of five worlds."""
    return 0.0 if chance.random() < 0.4 else chance.random() * most
