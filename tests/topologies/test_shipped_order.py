"""The saga shipped-order with its four services: parallel, joined, past the point of no return, and told."""

from pathlib import Path

import pytest

from app.saga.definition import with_policy
from app.saga.messages import Order
from app.samples.behaviour import Behaviour
from app.samples.outage import Outage
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
SHIP, TELL = ("shipping.ship",), ("notice.send",)
GO_BACK = ("reservation.release", "payment.refund")
NOTHING_KEPT: dict[str, int] = {}


def given(customer: str = "c-1", **wrong: object) -> Order:
    """The order, of a customer."""
    return {**ORDERED, "customer_id": customer, **wrong}  # type: ignore[typeddict-item]


def cancelled(world: World) -> None:
    """The shop wants the order rolled back."""
    world.tell("order.requests", "order.cancel", {"order_id": "o-1", "reason": "changed my mind"})


def test_an_order_is_shipped_and_its_customer_told(tmp_path: Path) -> None:
    """Both at once, then shipping, then the notice; the shop learns all four ids, and all books agree."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.live()
        assert world.log == [BEGIN, SHIP, TELL, ("order.completed",)]
        ids = {"reservation_id": "r-o-1", "payment_id": "p-o-1", "shipping_id": "s-o-1", "notice_id": "n-o-1"}
        assert world.outcomes == [{"order_id": "o-1", **ids}]
        assert world.kept("reservation") == world.kept("shipping") == {"A": 5}
        assert world.kept("payment") == {"EUR": 520}
        assert world.kept("notice") == {"notice": 1}


def test_shipping_waits_for_both(tmp_path: Path) -> None:
    """One of the two answers is not enough."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(1)
        assert world.log == [BEGIN]
        world.answer(1)
        assert world.log == [BEGIN, SHIP]


def test_what_no_carrier_takes_is_undone(tmp_path: Path) -> None:
    """A refused shipping has reservation and payment undone, both at once."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given("c-nowhere-1"))
        world.live()
        assert [sorted(types) for types in world.log] == [
            sorted(types) for types in (BEGIN, SHIP, GO_BACK, ("order.rejected",))
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
def test_what_one_of_two_refuses_is_never_shipped(tmp_path: Path, order: Order, step: str) -> None:
    """The other one is undone, whether it was answered before or not."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(order)
        world.live()
        assert (world.state, world.outcomes[-1]["step"]) == ("rolled_back", step)
        assert SHIP not in world.log
        assert world.kept("reservation") == world.kept("payment") == NOTHING_KEPT


def test_it_can_be_cancelled_until_shipping_is_asked_for(tmp_path: Path) -> None:
    """With one of the two answers there, both are undone."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(1)
        cancelled(world)
        world.live()
        assert world.log[-1] == ("order.cancelled",)
        assert world.kept("reservation") == world.kept("payment") == NOTHING_KEPT


def test_a_parcel_cannot_be_called_back(tmp_path: Path) -> None:
    """Once shipping is asked for a cancel is refused, and the order goes on to its end."""
    with World(SHIPPED_ORDER, tmp_path) as world:
        world.place(given())
        world.answer(2)
        cancelled(world)
        assert world.log[-1] == ("order.cancel.refused",)
        world.live()
        assert world.log[-1] == ("order.completed",)


def test_a_parcel_in_doubt_is_for_a_person(tmp_path: Path) -> None:
    """When shipping fails for good nobody knows where the parcel is: the order is stuck, and nothing is undone."""
    with World(SHIPPED_ORDER, tmp_path, {"shipping": Behaviour(fail_for_good=1)}) as world:
        world.place(given())
        world.live()
        assert world.state == "stuck"
        assert world.log == [BEGIN, SHIP, ("order.stuck",)]
        assert (world.kept("reservation"), world.kept("payment")) == ({"A": 5}, {"EUR": 520})


def test_shipping_is_asked_for_patiently(tmp_path: Path) -> None:
    """Twelve times, as only an answer helps: reservation and payment, which can be undone, are given up sooner."""
    with World(SHIPPED_ORDER, tmp_path, silent="shipping") as world:
        world.place(given())
        world.live()
        assert (world.state, world.log.count(SHIP)) == ("stuck", 12)


def test_a_notice_is_sent_in_the_end(tmp_path: Path) -> None:
    """A minute of failures, and it is asked for until it is sent, once."""
    with World(SHIPPED_ORDER, tmp_path, {"notice": Behaviour(broken=Outage(0, 60))}) as world:
        world.place(given())
        world.live()
        assert world.log.count(TELL) > 5
        assert world.log[-1] == ("order.completed",)
        assert world.kept("notice") == {"notice": 1}


def test_an_order_goes_back_when_its_day_is_over(tmp_path: Path) -> None:
    """A payment that never answers, asked for without end: at the deadline both are undone, and nothing was shipped."""
    saga = with_policy(SHIPPED_ORDER, attempts=10_000)
    with World(saga, tmp_path, silent="payment") as world:
        world.place(given())
        deadline = world.now_ms + 24 * 60 * 60 * 1_000
        world.live(until=deadline - 1)
        assert (world.state, world.log[-1]) == ("running", ("payment.charge",))
        world.live(until=deadline)
        assert (world.state, sorted(world.log[-1])) == ("compensating", sorted(GO_BACK))
        assert SHIP not in world.log


def test_it_reuses_the_steps_of_the_order_saga() -> None:
    """Reservation and payment are asked in the same words, and wait as long; only their order differs."""
    for step in ORDER.steps:
        other = SHIPPED_ORDER.step(step.name)
        assert (other.do, other.undo, other.replies) == (step.do, step.undo, step.replies)
        assert other.after == ()
