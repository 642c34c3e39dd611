"""The audit agrees with the product: records that the product's decisions write break no invariant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.check import check
from app.audit.checks.state_fold import state_fold
from app.saga.versions import Versions
from tests.audit.sagas import BOTH_VERSIONS, PACKED_ORDER
from tests.audit.simulation import Simulation, decisions_text
from topologies.order import ORDER

OLD, NEW = Versions((ORDER,)), Versions((PACKED_ORDER,))


@pytest.mark.parametrize("versions", ((OLD,), (NEW,), (OLD, BOTH_VERSIONS)), ids=("old", "new", "old, then both"))
@given(seed=st.integers(0, 2**32))
def test_the_products_decisions_keep_every_invariant(versions: tuple[Versions, ...], seed: int) -> None:
    """Orders, cancels, operations, failures, lost and repeated replies, invalid records and timers in any order."""
    simulation = Simulation(seed, versions)
    recording = simulation.run(actions=250)
    report = check(recording, simulation.spec, fold=state_fold(versions[-1]))
    assert report.violations == (), decisions_text(recording)


def test_the_simulation_covers_every_course() -> None:
    """Twenty seeds show every end, stuck and expired sagas, retries, queues, operations and dead letters."""
    simulations = [Simulation(seed, (OLD, BOTH_VERSIONS)) for seed in range(20)]
    recordings = [simulation.run(actions=250) for simulation in simulations]
    totals = [check(recording, one.spec).totals for one, recording in zip(simulations, recordings, strict=True)]
    ends = ("completed", "rejected", "cancelled", "stuck")
    for name in (*ends, "commands_retried", "replies_ignored", "orders_repeated"):
        assert sum(getattr(one, name) for one in totals) > 0, name
    reasons = {reason for one in totals for reason in one.dead_letters}
    assert {"malformed", "conflict", "unknown_order"} <= reasons
    assert any(account.settled_by_operator for one in totals for account in one.accounts.values())
    assert all(account.balanced for one in totals for account in one.accounts.values())
    written = b"".join(r.value or b"-" for recording in recordings for r in recording.records)
    operations = b"".join(r.value or b"" for one in recordings for r in one.records if r.topic == "saga.operations")
    assert b'"step":' in operations
    for text in (
        b"-step to be stuck",
        b':room"',
        b':pause"',
        b'"timer":"deadline"',
        b'"operation":"saga.skip"',
        b'"version":2',
    ):
        assert text in written, text
    assert any(r.topic == "saga.state" and r.value is None for recording in recordings for r in recording.records)
