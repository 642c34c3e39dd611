"""The driver's records are accepted by the product, and its verification finds errors."""

import json

import pytest

from app.wire.reader import Reader
from tests.benchmarks.messages import Orders, phases
from tests.benchmarks.verify import Seen, find_errors
from topologies.order import ORDER

COUNT = 200


@pytest.fixture
def orders() -> Orders:
    """The orders of a run, some of which are declined."""
    return Orders("r1", 10)


def test_the_product_accepts_every_message(orders: Orders) -> None:
    """The records are written from the contract alone, and the product can read all of them."""
    reader = Reader(ORDER)
    for phase in phases(orders, COUNT):
        for record in phase.records:
            assert reader.read(record.topic, record.key, record.value, record.headers).id


def test_phases_add_up(orders: Orders) -> None:
    """Every order is expected to end once, and each phase replies to all that the phase before expects."""
    planned = {phase.name: phase for phase in phases(orders, COUNT)}
    declined = planned["payment"].expected["reservation.release"]
    assert 0 < declined < COUNT
    assert planned["payment"].expected["order.completed"] + planned["release"].expected["order.rejected"] == COUNT
    assert [len(phase.records) for phase in planned.values()] == [COUNT, COUNT, COUNT, declined]


def test_nothing_declined_needs_no_release() -> None:
    """A phase without records is left out."""
    assert [phase.name for phase in phases(Orders("r1", 0), 3)] == ["orders", "reservation", "payment"]


def test_an_order_id_has_its_number(orders: Orders) -> None:
    """Only orders of the same run have one."""
    assert orders.number(orders.id(42)) == 42
    assert orders.number(Orders("r2", 10).id(42)) is None


def test_payment_declines_in_its_reply(orders: Orders) -> None:
    """The order id decides whether a charge is declined."""
    declined = next(orders.id(number) for number in range(COUNT) if orders.declined(orders.id(number)))
    record = orders.reply(declined, "payment.charge", f"{declined}:payment:do:1")
    assert dict(record.headers)["ce_type"] == b"payment.declined"
    assert json.loads(record.value) == {"order_id": declined, "reason": "insufficient_funds"}


def complete_run(orders: Orders) -> Seen:
    """The records of a run without errors."""
    seen = Seen()
    for order_id in map(orders.id, range(COUNT)):
        seen.take("reservation.commands", order_id, "reservation.reserve", f"{order_id}:reservation:do:1")
        seen.take("order.outcomes", order_id, outcome(orders, order_id), f"{order_id}:outcome:3")
    return seen


def outcome(orders: Orders, order_id: str) -> str:
    """The expected outcome of an order."""
    return "order.rejected" if orders.declined(order_id) else "order.completed"


def test_a_complete_run_has_no_errors(orders: Orders) -> None:
    """One outcome per order; an outcome that isn't final doesn't count."""
    seen = complete_run(orders)
    seen.take("order.outcomes", orders.id(0), "order.cancel.refused", "m")
    assert list(find_errors(seen, orders, COUNT)) == []


@pytest.mark.parametrize(
    ("topic", "type", "id", "complaint"),
    (
        ("order.outcomes", "order.completed", "m", "ended with"),
        ("order.outcomes", "order.cancelled", "m", "ended with"),
        ("reservation.commands", "reservation.reserve", "o-00000000-r1:reservation:do:1", "was sent 2 times"),
        ("saga.dead-letters", "order.place", "m", "1 dead letters"),
    ),
)
def test_extra_records_are_errors(orders: Orders, topic: str, type: str, id: str, complaint: str) -> None:
    """A second outcome, a command sent twice and a dead letter are each reported once."""
    seen = complete_run(orders)
    seen.take(topic, orders.id(0), type, id)
    (found,) = find_errors(seen, orders, COUNT)
    assert complaint in found


def test_missing_and_unexpected_outcomes_are_errors(orders: Orders) -> None:
    """An order without an outcome, and one with the wrong outcome."""
    (missing,) = find_errors(complete_run(orders), orders, COUNT + 1)
    assert missing == "200 orders have a final outcome, and 201 were placed"
    seen, first = complete_run(orders), orders.id(0)
    seen.outcomes[first] = ["order.completed" if orders.declined(first) else "order.rejected"]
    (unexpected,) = find_errors(seen, orders, COUNT)
    assert first in unexpected
