"""The plan of a simulated world: its size, its workload, and everything that goes wrong in it, drawn from one seed."""

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
class ParticipantFaults:
    """How participants misbehave: probabilities per command, except `refuse`, which is per order. Times in ms."""

    refuse: float = 0.0
    fail: float = 0.0
    fail_permanently: float = 0.0
    drop_command: float = 0.0
    lose_reply: float = 0.0
    duplicate_reply: float = 0.0
    slow_reply: float = 0.0
    latency_ms: int = 50


@dataclass(frozen=True, slots=True)
class Workload:
    """What shops, operators and others send: probabilities per order."""

    cancel: float = 0.0
    duplicate_order: float = 0.0
    conflicting_order: float = 0.0
    operation: float = 0.0
    resolve_stuck: float = 0.0
    invalid: float = 0.0
    misrouted: float = 0.0


@dataclass(frozen=True, slots=True)
class PodFaults:
    """What happens to pods. `crash_every`: mean number of steps between two crashes, 0 for none. Times in ms.

    `skew_ms` bounds a pod's clock skew, `max_downtime_ms` the time without a pod. The others are probabilities.
    """

    crash_every: int = 0
    max_downtime_ms: int = 0
    lost_disk: float = 0.0
    lost_writes: float = 0.0
    other_disk: float = 0.0
    handover: float = 0.0
    skew_ms: int = 0
    clock_jump: float = 0.0


@dataclass(frozen=True, slots=True)
class Outage:
    """A participant reads nothing between two times (true time, ms)."""

    step: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One world. `retry_stuck_at_end`: operators retry stuck sagas in the end. `short_retention`: sagas expire soon."""

    seed: int
    sagas: int
    versions: Versions
    partitions: int
    step_limit: int
    cached_sagas: int
    batch_records: int
    fetch_sizes: tuple[int, ...]
    tick_ms: tuple[int, ...]
    span_ms: int
    real_disk: bool
    retry_stuck_at_end: bool
    short_retention: bool
    participant_faults: ParticipantFaults
    workload: Workload
    pod_faults: PodFaults
    outages: tuple[Outage, ...]

    @property
    def saga(self) -> Saga:
        return self.versions.latest

    def summary(self) -> str:
        """The plan in one line."""
        size = (self.saga.name, f"{self.partitions} partitions", f"limit {self.step_limit}")
        return ", ".join(map(str, (*size, self.participant_faults, self.workload, self.pod_faults, *self.outages)))


def draw(seed: int, sagas: int) -> Plan:
    """The plan of a seed."""
    rng = Random(f"plan {seed}")
    pick = rng.choice
    short_retention = rng.random() < 0.4
    saga = _saga(rng, short_retention=short_retention)
    span_ms = sagas * pick((5, 20, 60))
    return Plan(
        seed,
        sagas,
        Versions((saga,)),
        partitions=pick((1, 2, 3)),
        step_limit=pick((2, 5, 20, 100, 1000)),
        cached_sagas=pick((20, 1000, 100_000)),
        batch_records=pick((10, 100, 4000)),
        fetch_sizes=pick(((500,), (20, 100), (3, 30, 300))),
        tick_ms=pick(((0, 100, 300), (200, 500), (0, 0, 50, 1000))),
        span_ms=span_ms,
        real_disk=seed % 20 == 0,
        retry_stuck_at_end=rng.random() < 0.5,
        short_retention=short_retention,
        participant_faults=_participant_faults(rng),
        workload=_workload(rng),
        pod_faults=_pod_faults(rng, sagas),
        outages=tuple(_outages(rng, saga, span_ms)),
    )


def _saga(rng: Random, *, short_retention: bool) -> Saga:
    return with_policy(
        rng.choice((ORDER, ORDER, SHIPPED_ORDER)),
        timeout_ms=rng.choice((2_000, 5_000, 30_000)),
        attempts=rng.choice((None, None, 2)),
        deadline_ms=rng.choice((None, 20_000, 120_000)),
        retention_ms=rng.choice((15_000, 60_000)) if short_retention else 7 * DAY_MS,
    )


def _participant_faults(rng: Random) -> ParticipantFaults:
    return ParticipantFaults(
        refuse=_share(rng, 0.2),
        fail=_share(rng, 0.2),
        fail_permanently=_share(rng, 0.04),
        drop_command=_share(rng, 0.1),
        lose_reply=_share(rng, 0.1),
        duplicate_reply=_share(rng, 0.2),
        slow_reply=_share(rng, 0.1),
        latency_ms=rng.choice((20, 100, 500)),
    )


def _workload(rng: Random) -> Workload:
    return Workload(
        cancel=_share(rng, 0.15),
        duplicate_order=_share(rng, 0.1),
        conflicting_order=_share(rng, 0.05),
        operation=_share(rng, 0.1),
        resolve_stuck=_share(rng, 1.0),
        invalid=_share(rng, 0.05),
        misrouted=_share(rng, 0.05),
    )


def _pod_faults(rng: Random, sagas: int) -> PodFaults:
    return PodFaults(
        crash_every=rng.choice((0, sagas // 2, 2 * sagas, 6 * sagas)),
        max_downtime_ms=rng.choice((0, 3_000, 60_000)),
        lost_disk=rng.choice((0.0, 0.3)),
        lost_writes=rng.choice((0.0, 0.3)),
        other_disk=rng.choice((0.0, 0.3)),
        handover=rng.choice((0.0, 0.3)),
        skew_ms=rng.choice((0, 2_000, 300_000)),
        clock_jump=rng.choice((0.0, 0.0, 0.01)),
    )


def _outages(rng: Random, saga: Saga, span_ms: int) -> list[Outage]:
    away = rng.choice(([], [], [rng.choice(saga.steps)], list(saga.steps)))
    start_ms = START_MS + rng.randrange(span_ms)
    end_ms = start_ms + rng.choice((span_ms // 2, 2 * MINUTE_MS, 10 * MINUTE_MS))
    return [Outage(step.name, start_ms, end_ms) for step in away]


def _share(rng: Random, most: float) -> float:
    """0 in two of five worlds, else up to `most`."""
    return 0.0 if rng.random() < 0.4 else rng.random() * most
