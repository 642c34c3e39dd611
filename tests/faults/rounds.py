"""One round of each kind of fault, told again by its seed."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from app.demo.plan import Plan
from tests.faults import brokers, kills, zombies
from tests.faults.cluster import Cluster
from tests.faults.ground import MISHAPS, Ground, ground
from tests.faults.proof import prove
from tests.faults.tally import Tally

_ENOUGH = 10**6  # orders: placing goes on until it is told to stop
Expired = Callable[[], bool]


def kill_round(at: Cluster, folder: Path, seed: int, wanted: Counter[str], expired: Expired) -> Tally:
    """Pods die at these points, so often each, until the time has expired; then the proof."""
    with _round(at, folder, _plan(seed, rate=40, partitions=8), 4, kills.SETTINGS) as (here, tally):
        killing = kills.Kills(here, random.Random(f"{seed} kills"), wanted, tally)
        killing.begin()
        while not killing.over and not expired():
            here.look(0.02)
            killing.go_on()
        killing.end()
    return tally


def zombie_round(at: Cluster, folder: Path, seed: int, kinds: Iterable[str], expired: Expired) -> Tally:
    """Two pods under load fall asleep in turn, then the proof."""
    with _round(at, folder, _plan(seed, rate=20, partitions=2), 2, zombies.SETTINGS) as (here, tally):
        here.begin(zombies.LIMIT)
        trials = zombies.Zombies(here, random.Random(f"{seed} zombies"), tally)
        for kind in _until(expired, kinds):
            trials.trial(kind)
    return tally


def timer_round(at: Cluster, folder: Path, seed: int, times: int, expired: Expired) -> Tally:
    """Orders whose services stay silent, so that nothing comes in and only time-outs are due; pods fall asleep."""
    plan = Plan(orders=60, rate=100, seed=seed, partitions=2)
    settings = {**zombies.SETTINGS, "step_timeout": 1, "step_attempts": 1000}
    with _round(at, folder, plan, 2, settings, ("--lose", "1")) as (here, tally):
        here.begin(zombies.LIMIT)
        trials = zombies.Zombies(here, random.Random(f"{seed} timers"), tally)
        for kind in _until(expired, [zombies.TIMERS] * times):
            trials.trial(kind)
        here.serve()
    return tally


def broker_round(at: Cluster, folder: Path, seed: int, faults: Iterable[str], expired: Expired) -> Tally:
    """Faults of brokers and networks under load, then the proof."""
    with _round(at, folder, _plan(seed, rate=30, partitions=4), 2, brokers.SETTINGS) as (here, tally):
        here.begin(brokers.LIMIT)
        trouble = brokers.BrokerFaults(here, random.Random(f"{seed} brokers"), tally)
        for fault in _until(expired, faults):
            trouble.strike(fault)
    return tally


@contextmanager
def _round(
    at: Cluster, folder: Path, plan: Plan, pods: int, settings: Mapping[str, int], behaviour: Sequence[str] = MISHAPS
) -> Iterator[tuple[Ground, Tally]]:
    """So many pods, which are not started yet. When the block ends no more is placed, and all is proved."""
    tally = Tally()
    with ground(at, folder, plan, behaviour) as here:
        for name in ("first", "second", "third", "fourth")[:pods]:
            here.pod(name, **settings)
        yield here, tally
        here.placing.stop()
        prove(here, tally)


def _plan(seed: int, rate: float, partitions: int) -> Plan:
    """Orders without end."""
    return Plan(orders=_ENOUGH, rate=rate, seed=seed, partitions=partitions)


def _until(expired: Expired, kinds: Iterable[str]) -> Iterator[str]:
    return takewhile(lambda _: not expired(), kinds)
