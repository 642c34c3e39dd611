"""The judge is tested with bugs: each bug inserted into the orchestrator violates its invariant."""

from dataclasses import replace

import pytest

from app.saga.definition import with_policy
from app.saga.versions import Versions
from tests.simulation.bugs import BUGS
from tests.simulation.plan import MINUTE_MS, START_MS, Outage, ParticipantFaults, Plan, PodFaults, Workload, draw
from tests.simulation.run import run
from topologies.order import ORDER

SAGAS = 60


def hard_plan(seed: int) -> Plan:
    """A small world in which everything that can happen to the order saga does happen."""
    saga = with_policy(ORDER, timeout_ms=5_000, attempts=3, deadline_ms=60_000, retention_ms=60_000)
    return replace(
        draw(seed, SAGAS),
        versions=Versions((saga,)),
        partitions=2,
        step_limit=3,
        fetch_sizes=(3, 30),
        tick_ms=(0, 100, 500),
        span_ms=5_000,
        real_disk=False,
        short_retention=True,
        participant_faults=ParticipantFaults(
            refuse=0.1,
            fail=0.1,
            fail_permanently=0.02,
            drop_command=0.05,
            lose_reply=0.05,
            duplicate_reply=0.1,
            slow_reply=0.3,
        ),
        workload=Workload(
            cancel=0.1,
            duplicate_order=0.1,
            conflicting_order=0.05,
            operation=0.05,
            resolve_stuck=0.5,
            invalid=0.2,
            misrouted=0.05,
        ),
        pod_faults=PodFaults(crash_every=100, max_downtime_ms=20_000, lost_writes=0.3),
        outages=(Outage("payment", START_MS + 1_000, START_MS + MINUTE_MS),),
    )


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_is_found(bug: str) -> None:
    """In one of a few small worlds, the bug's invariant is violated."""
    inserted, invariant = BUGS[bug]
    violated: set[str] = set()
    for seed in range(6):
        with inserted():
            violated |= run(seed, SAGAS, hard_plan(seed)).invariants
        if invariant in violated:
            return
    pytest.fail(f"{bug}: {invariant} was not violated, only {sorted(violated)}")


@pytest.mark.parametrize("seed", range(6))
def test_without_a_bug_no_invariant_is_violated(seed: int) -> None:
    """The same worlds without a bug violate no invariant."""
    verdict = run(seed, SAGAS, hard_plan(seed))
    assert not verdict.violations, verdict.report()
    assert verdict.crashes
