"""The judge finds out what is wrong: each bug that is put into the orchestrator breaks the law that it should."""

from dataclasses import replace

import pytest

from app.saga.definition import with_policy
from app.saga.versions import Versions
from tests.simulation.bugs import BUGS
from tests.simulation.plan import MINUTE_MS, START_MS, Hardship, Outage, People, Plan, Whims, draw
from tests.simulation.run import run
from topologies.order import ORDER

SAGAS = 60


def hard(seed: int) -> Plan:
    """A small world in which everything that can happen to the order saga does."""
    saga = with_policy(ORDER, timeout_ms=5_000, attempts=3, deadline_ms=60_000, remembered_ms=60_000)
    return replace(
        draw(seed, SAGAS),
        versions=Versions((saga,)),
        partitions=2,
        limit=3,
        fetch=(3, 30),
        tick_ms=(0, 100, 500),
        span_ms=5_000,
        real_disk=False,
        short=True,
        whims=Whims(refuse=0.1, fail=0.1, fail_for_good=0.02, drop=0.05, lose=0.05, duplicate=0.1, slow=0.3),
        people=People(cancel=0.1, again=0.1, conflict=0.05, operate=0.05, see_to_stuck=0.5, poison=0.2, astray=0.05),
        hardship=Hardship(crash_every=100, absent_ms=20_000, lost_writes=0.3),
        outages=(Outage("payment", START_MS + 1_000, START_MS + MINUTE_MS),),
    )


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found_out(bug: str) -> None:
    """In one of a few small worlds the law is broken that speaks of it."""
    put_in, law = BUGS[bug]
    broken: set[str] = set()
    for seed in range(6):
        with put_in():
            broken |= run(seed, SAGAS, hard(seed)).laws
        if law in broken:
            return
    pytest.fail(f"{bug}: {law} was not broken, only {sorted(broken)}")


@pytest.mark.parametrize("seed", range(6))
def test_without_a_bug_nothing_is_found(seed: int) -> None:
    """The same worlds keep all laws."""
    verdict = run(seed, SAGAS, hard(seed))
    assert not verdict.violations, verdict.says()
    assert verdict.crashes
