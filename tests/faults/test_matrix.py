"""A short round of every kind of fault on three brokers; `make faults` runs them for as long as wanted."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.broker.order_load import say
from tests.faults import kills, pauses
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.fault_rounds import broker_round, kill_round, pause_round, timer_round
from tests.faults.results import Results

pytestmark = [pytest.mark.broker, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(400)]
SEED = 1
POINTS = random.Random(SEED).sample(kills.ALL, 4)
PAUSES = ("with EndTxn in flight, delivered late", "with state set")
BROKER_FAULTS = ("kill -9 of a transaction coordinator", "EndTxn response lost")


@pytest.fixture(scope="module")
def three_brokers() -> Iterator[Cluster]:
    """Three brokers; each topic has three replicas, two of which must be in sync."""
    with cluster_of(3, SEED) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def finished(three_brokers: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Results]]]:
    """The rounds without broker faults, side by side, as they mostly wait."""
    kill, pause, timers = (tmp_path_factory.mktemp(name) for name in ("kills", "pauses", "timers"))
    wanted = Counter(dict.fromkeys(POINTS, 1))
    with ThreadPoolExecutor(3) as pool:
        yield {
            "kills": pool.submit(kill_round, three_brokers, kill, SEED, wanted, within(120)),
            "pauses": pool.submit(pause_round, three_brokers, pause, SEED, PAUSES, within(120)),
            "timers": pool.submit(timer_round, three_brokers, timers, SEED, 1, within(120)),
        }


def within(seconds: float) -> Callable[[], bool]:
    """A function that tells whether this many seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def without_violations(results: Results) -> Counter[str]:
    """The faults of a round without violations; prints them and the recovery times."""
    say(f"seed {SEED}")
    for row in results.rows():
        say("  ".join(row))
    say(results.summary())
    assert results.violations == []
    assert results.sagas > 0
    assert results.states > 0
    return results.faults


def test_pods_killed_at_any_point_lose_and_repeat_nothing(finished: dict[str, Future[Results]]) -> None:
    """Each kill is at another point between a poll and the last write to disk."""
    assert without_violations(finished["kills"].result()).total() >= len(POINTS)


def test_pods_paused_beyond_their_session_commit_nothing_when_resumed(
    finished: dict[str, Future[Results]],
) -> None:
    """With an open transaction, with EndTxn in flight, or with uncommitted local work: they end by themselves."""
    assert without_violations(finished["pauses"].result()) == Counter({f"pause: {kind}": 1 for kind in PAUSES})


def test_a_pod_resumed_with_timers_that_another_fired_commits_nothing(
    finished: dict[str, Future[Results]],
) -> None:
    """No records come in, so only the position committed with a timer lets the broker fence the former owner."""
    assert without_violations(finished["timers"].result()) == Counter({f"pause: {pauses.TIMERS}": 1})


def test_pods_recover_by_themselves_from_broker_and_network_faults(
    three_brokers: Cluster, finished: dict[str, Future[Results]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Prints the longest time in which a partition took no decision."""
    for other in finished.values():
        other.exception()  # the other rounds are over
    folder = tmp_path_factory.mktemp("brokers")
    faults = without_violations(broker_round(three_brokers, folder, SEED, BROKER_FAULTS, within(120)))
    assert faults == Counter(dict.fromkeys(BROKER_FAULTS, 1))
