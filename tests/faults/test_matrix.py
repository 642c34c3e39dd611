"""A short run of every kind of fault on three brokers; `make faults` runs them for as long as is wanted."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.broker.crowd import say
from tests.faults import kills, zombies
from tests.faults.cluster import Cluster, cluster_of
from tests.faults.rounds import broker_round, kill_round, timer_round, zombie_round
from tests.faults.tally import Tally

pytestmark = [pytest.mark.broker, pytest.mark.slow]
SEED = 1
POINTS = 10
BROKER_FAULTS = ("kill -9 of a transaction coordinator", "a commit's answer lost", "a changelog's leader asleep")
PAUSES = ("with records written", "with the end on its way, late", "with state set")


@pytest.fixture(scope="module")
def three() -> Iterator[Cluster]:
    """Every topic on three brokers, of which two must have a record."""
    with cluster_of(3, SEED) as at:
        yield at


def within(seconds: float) -> Callable[[], bool]:
    """Tells whether so many seconds are over."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def unbroken(tally: Tally) -> Counter[str]:
    """The faults of a round in which every invariant held; they and the recovery times are told."""
    for row in tally.rows():
        say("  ".join(row))
    say(tally.verdict())
    assert tally.broken == []
    assert tally.sagas > 0
    assert tally.states > 0
    return tally.faults


def test_pods_die_at_any_point_and_nothing_is_lost_or_done_twice(three: Cluster, tmp_path: Path) -> None:
    """Each kill is at a point of its own between a poll and the last write to disk."""
    say(f"seed {SEED}")
    points = random.Random(SEED).sample(kills.ALL, POINTS)
    faults = unbroken(kill_round(three, tmp_path, SEED, Counter(dict.fromkeys(points, 1)), within(60)))
    assert faults.total() >= POINTS


def test_pods_that_sleep_through_their_session_commit_nothing_when_they_wake(three: Cluster, tmp_path: Path) -> None:
    """With an open transaction, with its end on the way, or with local work alone: they end by themselves."""
    say(f"seed {SEED}")
    faults = unbroken(zombie_round(three, tmp_path, SEED, PAUSES, within(90)))
    assert faults == Counter({f"pause: {kind}": 1 for kind in PAUSES})


def test_a_pod_that_wakes_with_time_outs_that_another_saw_to_commits_nothing(three: Cluster, tmp_path: Path) -> None:
    """Nothing comes in, so only the position that goes with a time-out tells the broker who owns the partition."""
    say(f"seed {SEED}")
    faults = unbroken(timer_round(three, tmp_path, SEED, 1, within(60)))
    assert faults == Counter({f"pause: {zombies.TIMERS}": 1})


def test_brokers_and_links_fail_and_all_goes_on_by_itself(three: Cluster, tmp_path: Path) -> None:
    """How long a partition stood still is told."""
    say(f"seed {SEED}")
    faults = unbroken(broker_round(three, tmp_path, SEED, BROKER_FAULTS, within(120)))
    assert faults == Counter(dict.fromkeys(BROKER_FAULTS, 1))
