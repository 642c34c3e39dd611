"""A short run of every kind of fault on three brokers; `make faults` runs them for as long as is wanted."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.broker.crowd import say
from tests.faults import kills, zombies
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.rounds import broker_round, kill_round, timer_round, zombie_round
from tests.faults.tally import Tally

pytestmark = [pytest.mark.broker, pytest.mark.alone, pytest.mark.slow, pytest.mark.timeout(400)]
SEED = 1
POINTS = random.Random(SEED).sample(kills.ALL, 4)
PAUSES = ("with the end on its way, late", "with state set")
BROKER_FAULTS = ("kill -9 of a transaction coordinator", "a commit's answer lost")


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Every topic on three brokers, of which two must have a record."""
    with cluster_of(3, SEED) as at:
        yield at


@pytest.fixture(scope="module")
def played(three: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Tally]]]:
    """The rounds that leave the brokers alone, all at once, as they wait most of the time."""
    kill, sleep, timers = (tmp_path_factory.mktemp(name) for name in ("kills", "pauses", "timers"))
    wanted = Counter(dict.fromkeys(POINTS, 1))
    with ThreadPoolExecutor(3) as pool:
        yield {
            "kills": pool.submit(kill_round, three, kill, SEED, wanted, within(120)),
            "pauses": pool.submit(zombie_round, three, sleep, SEED, PAUSES, within(120)),
            "timers": pool.submit(timer_round, three, timers, SEED, 1, within(120)),
        }


def within(seconds: float) -> Callable[[], bool]:
    """Tells whether so many seconds are over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def unbroken(tally: Tally) -> Counter[str]:
    """The faults of a round in which every invariant held; they and the recovery times are told."""
    say(f"seed {SEED}")
    for row in tally.rows():
        say("  ".join(row))
    say(tally.verdict())
    assert tally.broken == []
    assert tally.sagas > 0
    assert tally.states > 0
    return tally.faults


def test_pods_die_at_any_point_and_nothing_is_lost_or_done_twice(played: dict[str, Future[Tally]]) -> None:
    """Each kill is at a point of its own between a poll and the last write to disk."""
    assert unbroken(played["kills"].result()).total() >= len(POINTS)


def test_pods_that_sleep_through_their_session_commit_nothing_when_they_wake(
    played: dict[str, Future[Tally]],
) -> None:
    """With an open transaction, with its end on the way, or with local work alone: they end by themselves."""
    assert unbroken(played["pauses"].result()) == Counter({f"pause: {kind}": 1 for kind in PAUSES})


def test_a_pod_that_wakes_with_time_outs_that_another_saw_to_commits_nothing(
    played: dict[str, Future[Tally]],
) -> None:
    """Nothing comes in, so only the position that goes with a time-out tells the broker who owns the partition."""
    assert unbroken(played["timers"].result()) == Counter({f"pause: {zombies.TIMERS}": 1})


def test_brokers_and_links_fail_and_all_goes_on_by_itself(
    three: Cluster, played: dict[str, Future[Tally]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """How long a partition stood still is told."""
    for other in played.values():
        other.exception()  # the other rounds are over
    folder = tmp_path_factory.mktemp("brokers")
    faults = unbroken(broker_round(three, folder, SEED, BROKER_FAULTS, within(120)))
    assert faults == Counter(dict.fromkeys(BROKER_FAULTS, 1))
