"""One round of each kind of fault, repeatable by its seed: orders under load, faults, then the audit."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

from app.demo.plan import Plan
from tests.faults import brokers, kills, pauses
from tests.faults.cluster import Cluster
from tests.faults.results import Results
from tests.faults.testbed import FAULTY_SERVICES, Testbed, open_testbed
from tests.faults.verification import verify

_ENDLESS = 10**6  # orders: more than a round places before it stops placing
Expired = Callable[[], bool]


def kill_round(cluster: Cluster, folder: Path, seed: int, wanted: Counter[str], expired: Expired) -> Results:
    """Kills four pods at these points, each as often as `wanted` says, until the time has expired."""
    with _round(cluster, folder, _plan(seed, rate=40, partitions=8), 4, kills.SETTINGS) as (testbed, results):
        killing = kills.Kills(testbed, random.Random(f"{seed} kills"), wanted, results)
        killing.start()
        while not killing.done and not expired():
            testbed.observe(0.02)
            killing.step()
        killing.finish()
    return results


def pause_round(cluster: Cluster, folder: Path, seed: int, kinds: Iterable[str], expired: Expired) -> Results:
    """Pauses one of two pods under load beyond its session, once for each kind."""
    with _round(cluster, folder, _plan(seed, rate=20, partitions=2), 2, pauses.SETTINGS) as (testbed, results):
        testbed.start_pods(pauses.LIMIT)
        pausing = pauses.Pauses(testbed, random.Random(f"{seed} zombies"), results)
        for kind in _until(expired, kinds):
            pausing.inject(kind)
    return results


def timer_round(cluster: Cluster, folder: Path, seed: int, times: int, expired: Expired) -> Results:
    """Pauses pods while services don't reply: no records come in, and only step time-outs are due."""
    plan = Plan(orders=60, rate=100, seed=seed, partitions=2)
    settings = {**pauses.SETTINGS, "step_timeout": 1, "step_attempts": 1000}
    with _round(cluster, folder, plan, 2, settings, ("--lose", "1")) as (testbed, results):
        testbed.start_pods(pauses.LIMIT)
        pausing = pauses.Pauses(testbed, random.Random(f"{seed} timers"), results)
        for kind in _until(expired, [pauses.TIMERS] * times):
            pausing.inject(kind)
        testbed.start_services()
    return results


def broker_round(cluster: Cluster, folder: Path, seed: int, faults: Iterable[str], expired: Expired) -> Results:
    """Injects faults of brokers and of the network under load."""
    with _round(cluster, folder, _plan(seed, rate=30, partitions=4), 2, brokers.SETTINGS) as (testbed, results):
        testbed.start_pods(brokers.LIMIT)
        injecting = brokers.BrokerFaults(testbed, random.Random(f"{seed} brokers"), results)
        for fault in _until(expired, faults):
            injecting.inject(fault)
    return results


@contextmanager
def _round(
    cluster: Cluster,
    folder: Path,
    plan: Plan,
    pods: int,
    settings: Mapping[str, int],
    behaviour: Sequence[str] = FAULTY_SERVICES,
) -> Iterator[tuple[Testbed, Results]]:
    """A testbed with this many pods, not started yet. When the block ends, placing stops and all orders are audited."""
    results = Results()
    with open_testbed(cluster, folder, plan, behaviour) as testbed:
        for name in ("first", "second", "third", "fourth")[:pods]:
            testbed.pod(name, **settings)
        yield testbed, results
        testbed.placing.stop()
        verify(testbed, results)


def _plan(seed: int, rate: float, partitions: int) -> Plan:
    return Plan(orders=_ENDLESS, rate=rate, seed=seed, partitions=partitions)


def _until(expired: Expired, kinds: Iterable[str]) -> Iterator[str]:
    return takewhile(lambda _: not expired(), kinds)
