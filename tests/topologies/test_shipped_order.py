"""The saga shipped-order with its four services: parallel steps, a join, a pivot, and a retriable notice."""

from pathlib import Path

import pytest

from app.saga.definition import with_policy
from app.saga.messages import Order
from app.samples.participant.fault_plan import FaultPlan, Outage
from tests.topologies.world import World
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

ORDERED: Order = {
    "order_id": "o-1",
    "customer_id": "c-1",
    "total": {"currency": "EUR", "minor": 520},
    "lines": [{"sku": "A", "quantity": 5, "unit_price": {"currency": "EUR", "minor": 104}}],
}
BEGIN = ("reservation.reserve", "payment.charge")
SHIP, NOTIFY = ("shipping.ship",), ("notice.send",)
UNDO_BOTH = ("reservation.release", "payment.refund")
NOTHING_KEPT: dict[str, int] = {}


def given(customer: str = "c-1", **wrong: object) -> Order:
    """The order of a customer."""
    return {**ORDERED, "customer_id": customer, **wrong}  # type: ignore[typeddict-item]


def cancel(world: World) -> None:
    """The shop cancels the order."""
    world.send("order.requests", "order.cancel", {"order_id": "o-1", "reason": "changed my mind"})


def test_an_order_is_shipped_and_its_customer_notified(tmp_path: Path) -> None:
    """Reservation and payment in parallel, then shipping, then the notice. The outcome and all ledgers agree."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.run()
        assert world.log == [BEGIN, SHIP, NOTIFY, ("order.completed",)]
        ids = {"reservation_id": "r-o-1", "payment_id": "p-o-1", "shipping_id": "s-o-1", "notice_id": "n-o-1"}
        assert world.outcomes == [{"order_id": "o-1", **ids}]
        assert world.kept("reservation") == world.kept("shipping") == {"A": 5}
        assert world.kept("payment") == {"EUR": 520}
        assert world.kept("notice") == {"notice": 1}


def test_shipping_waits_for_both(tmp_path: Path) -> None:
    """One of the two replies is not enough."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(1)
        assert world.log == [BEGIN]
        world.answer(1)
        assert world.log == [BEGIN, SHIP]


def test_an_order_that_no_carrier_takes_is_undone(tmp_path: Path) -> None:
    """A refused shipping undoes reservation and payment in parallel."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given("c-nowhere-1"))
        world.run()
        assert [sorted(types) for types in world.log] == [
            sorted(types) for types in (BEGIN, SHIP, UNDO_BOTH, ("order.rejected",))
        ]
        assert world.outcomes == [{"order_id": "o-1", "reason": "no carrier serves the address", "step": "shipping"}]
        assert [world.kept(name) for name in ("reservation", "payment", "shipping", "notice")] == [NOTHING_KEPT] * 4


@pytest.mark.parametrize(
    ("order", "step"),
    (
        (given("c-broke-1"), "payment"),
        (given(lines=[{**ORDERED["lines"][0], "sku": "SOLD-OUT-A"}]), "reservation"),
    ),
    ids=("the payment", "the reservation"),
)
def test_an_order_that_one_of_two_services_refuses_is_never_shipped(tmp_path: Path, order: Order, step: str) -> None:
    """The other step is undone, whether it was answered before or not."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(order)
        world.run()
        assert (world.state, world.outcomes[-1]["step"]) == ("rolled_back", step)
        assert SHIP not in world.log
        assert world.kept("reservation") == world.kept("payment") == NOTHING_KEPT


def test_it_can_be_cancelled_until_shipping_is_requested(tmp_path: Path) -> None:
    """With one of the two replies there, both steps are undone."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(1)
        cancel(world)
        world.run()
        assert world.log[-1] == ("order.cancelled",)
        assert world.kept("reservation") == world.kept("payment") == NOTHING_KEPT


def test_a_parcel_cannot_be_called_back(tmp_path: Path) -> None:
    """Once shipping is requested a cancel is refused, and the order goes on to its end."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(2)
        cancel(world)
        assert world.log[-1] == ("order.cancel.refused",)
        world.run()
        assert world.log[-1] == ("order.completed",)


def test_a_parcel_in_doubt_needs_an_operator(tmp_path: Path) -> None:
    """If shipping fails for good, it is unknown where the parcel is: the saga is stuck, and nothing is undone."""
    with World(SHIPPED_ORDER, tmp_path, {"shipping": FaultPlan(fail_for_good=1)}) as world:
        world.place(given())
        world.run()
        assert world.state == "stuck"
        assert world.log == [BEGIN, SHIP, ("order.stuck",)]
        assert (world.kept("reservation"), world.kept("payment")) == ({"A": 5}, {"EUR": 520})


def test_shipping_is_patient(tmp_path: Path) -> None:
    """It has twelve attempts, as only a reply helps. Steps that can be undone are given up sooner."""
    with World(SHIPPED_ORDER, tmp_path, silent="shipping") as world:
        world.place(given())
        world.run()
        assert (world.state, world.log.count(SHIP)) == ("stuck", 12)


def test_a_notice_is_sent_in_the_end(tmp_path: Path) -> None:
    """After a minute of failures it is sent, and only once."""
    with World(SHIPPED_ORDER, tmp_path, {"notice": FaultPlan(broken=Outage(0, 60))}) as world:
        world.place(given())
        world.run()
        assert world.log.count(NOTIFY) > 5
        assert world.log[-1] == ("order.completed",)
        assert world.kept("notice") == {"notice": 1}


def test_an_order_rolls_back_at_its_deadline(tmp_path: Path) -> None:
    """The payment never answers, and has attempts without end: both steps are undone, and nothing is shipped."""
    saga = with_policy(SHIPPED_ORDER, attempts=10_000)
    with World(saga, tmp_path, silent="payment") as world:
        world.place(given())
        deadline = world.now_ms + 24 * 60 * 60 * 1_000
        world.run(until=deadline - 1)
        assert (world.state, world.log[-1]) == ("running", ("payment.charge",))
        world.run(until=deadline)
        assert (world.state, sorted(world.log[-1])) == ("compensating", sorted(UNDO_BOTH))
        assert SHIP not in world.log


def test_it_reuses_the_steps_of_the_order_saga() -> None:
    """Reservation and payment have the same messages and policies; only their order differs."""
    for step in ORDER.steps:
        other = SHIPPED_ORDER.step(step.name)
        assert (other.do, other.undo, other.replies) == (step.do, step.undo, step.replies)
        assert other.after == ()
