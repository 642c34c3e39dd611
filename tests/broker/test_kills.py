"""kill -9 of pods at any moment, under load, on the same state and on none."""

import shutil
import time
from pathlib import Path

import pytest

from app.demo.plan import Plan
from tests.broker.run import chances, running

pytestmark = pytest.mark.broker
KILLS = 12


@pytest.mark.parametrize("seed", (20,))
def test_nothing_is_lost_or_done_twice_when_pods_are_killed_at_any_moment(
    kafka_bootstrap: str, tmp_path: Path, seed: int
) -> None:
    """After a dozen kills of two pods every invariant holds, and the state that is left is the fold of the events."""
    plan, chance, kills = Plan(orders=2400, rate=80, seed=seed, partitions=4), chances(seed), 0
    with running(kafka_bootstrap, plan, tmp_path) as run:
        pods = [run.pod("first"), run.pod("second")]
        next_kill = time.monotonic() + 1
        for _ in run.going():
            if kills < KILLS and time.monotonic() >= next_kill:
                pod = chance.choice(pods)
                pod.kill()
                if kills % 3 == 2:
                    shutil.rmtree(run.children.state_of(pod.log.stem))
                pod.start()
                kills += 1
                next_kill = time.monotonic() + chance.uniform(0.3, 3.5)
        assert kills == KILLS
