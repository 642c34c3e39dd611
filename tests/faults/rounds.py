"""One round of each kind of fault, told again by its seed."""

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path

from app.demo.plan import Plan
from tests.faults import brokers, kills, zombies
from tests.faults.ground import PARTITIONS, Cluster, ground
from tests.faults.proof import prove
from tests.faults.tally import Tally

_RATE = 50.0
_ENOUGH = 10**6  # orders: placing goes on until it is told to stop


def plan(seed: int, rate: float = _RATE, partitions: int = PARTITIONS) -> Plan:
    """Orders without end."""
    return Plan(orders=_ENOUGH, rate=rate, seed=seed, partitions=partitions)


def kill_round(at: Cluster, folder: Path, seed: int, wanted: Counter[str], expired: Callable[[], bool]) -> Tally:
    """Two pods die at these points, so often each, until the time has expired; then the proof."""
    tally = Tally()
    with ground(at, folder, plan(seed)) as here:
        for name in ("first", "second"):
            here.pod(name, **kills.QUICK)
        killing = kills.Kills(here, random.Random(f"{seed} kills"), wanted, tally)
        killing.begin()
        while not killing.over and not expired():
            here.look(0.02)
            killing.go_on()
        killing.end()
        here.placing.stop()
        prove(here, tally)
    return tally


def zombie_round(at: Cluster, folder: Path, seed: int, kinds: Iterable[str], expired: Callable[[], bool]) -> Tally:
    """Two pods under load fall asleep in turn, then the proof."""
    tally = Tally()
    with ground(at, folder, plan(seed, rate=20, partitions=2)) as here:
        for name in ("first", "second"):
            here.pod(name, **zombies.QUICK)
        trials = zombies.Zombies(here, random.Random(f"{seed} zombies"), tally)
        trials.begin()
        for kind in kinds:
            if not expired():
                trials.trial(kind)
        here.placing.stop()
        prove(here, tally)
    return tally


def timer_round(at: Cluster, folder: Path, seed: int, times: int, expired: Callable[[], bool]) -> Tally:
    """Orders whose services stay silent, so that nothing comes in and only time-outs are due; pods fall asleep."""
    tally = Tally()
    with ground(at, folder, Plan(orders=60, rate=100, seed=seed, partitions=2), ("--lose", "1")) as here:
        for name in ("first", "second"):
            here.pod(name, **{**zombies.QUICK, "step_timeout": 1, "step_attempts": 1000})
        trials = zombies.Zombies(here, random.Random(f"{seed} timers"), tally)
        trials.begin()
        for _ in range(times):
            if not expired():
                trials.trial(zombies.TIMERS)
        here.serve()
        prove(here, tally)
    return tally


def broker_round(at: Cluster, folder: Path, seed: int, faults: Iterable[str], expired: Callable[[], bool]) -> Tally:
    """Faults of brokers and networks under load, then the proof."""
    tally = Tally()
    with ground(at, folder, plan(seed, rate=30)) as here:
        for name in ("first", "second"):
            here.pod(name, **brokers.SETTINGS)
        trouble = brokers.BrokerFaults(here, random.Random(f"{seed} brokers"), tally)
        trouble.begin()
        for fault in faults:
            if not expired():
                trouble.strike(fault)
        here.placing.stop()
        prove(here, tally)
    return tally
