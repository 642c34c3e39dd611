"""The totals count each order, record and reply once."""

from app.audit.check import check
from tests.audit.runs import BY_VERSION, good_run
from tests.audit.sagas import SPEC

GOOD = good_run()


def test_each_order_is_counted_once() -> None:
    """Orders, their ends and their repetitions add up."""
    totals = check(GOOD, SPEC).totals
    scenarios = sum(map(len, BY_VERSION.values()))
    assert totals.orders_distinct == scenarios + 2  # with two that are dead letters
    assert totals.started == scenarios + 1  # one order id has a second life
    assert totals.completed + totals.rejected + totals.cancelled + totals.stuck + totals.running == totals.started
    assert (totals.completed, totals.rejected, totals.cancelled, totals.stuck, totals.running) == (12, 12, 7, 2, 0)
    assert (totals.orders_placed, totals.orders_repeated) == (39, 3)
    assert totals.dead_letters == {"conflict": 1, "malformed": 2, "too_large": 1, "unknown_order": 3, "wrong_key": 1}
    counts = (totals.commands, totals.commands_retried, totals.replies_ignored, totals.replies_repeated)
    assert counts == (132, 20, 7, 4)
