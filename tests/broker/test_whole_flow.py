"""Orders through sample services, pods and a real broker: each ends with the expected outcome."""

from pathlib import Path

import pytest

from app.demo.plan import Plan
from tests.broker.run import audit, running

pytestmark = pytest.mark.broker


def test_every_order_ends_once_with_the_expected_outcome(kafka_bootstrap: str, tmp_path: Path) -> None:
    """Declined and sold-out orders are rolled back, the rest completed, despite duplicates, failures and delays."""
    plan = Plan(orders=300, rate=200, seed=7, partitions=4, declined=0.2, sold_out=0.1, duplicates=0.1)
    with running(kafka_bootstrap, plan, tmp_path) as run:
        run.pod("only")
        for _ in run.progress():
            pass
        totals = audit(run).totals
    assert (totals.completed, totals.rejected, totals.stuck) == (210, 90, 0)
    assert totals.orders_repeated == 30


def test_two_pods_share_the_partitions_and_a_third_takes_over_from_one_that_leaves(
    kafka_bootstrap: str, tmp_path: Path
) -> None:
    """Pods that join and leave under load lose and repeat nothing."""
    plan = Plan(orders=1200, rate=60, seed=8, partitions=4)
    with running(kafka_bootstrap, plan, tmp_path) as run:
        first = run.pod("first")
        second = third = None
        for ended in run.progress():
            if second is None and ended > 0.2:
                second = run.pod("second")
            if third is None and ended > 0.4:
                assert first.stop() == 0
                third = run.pod("third")
        assert second is not None
        assert third is not None
