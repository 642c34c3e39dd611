"""Generated orders are valid, realistic, exact in their shares, and reproducible by their seed."""

from collections import Counter
from statistics import mean

import orjson
import pytest

from app.ops.errors import CommandFailed
from app.saga.messages import Order
from app.samples.shop.orders import OrderMix, Placement, order, placements
from app.wire import fields
from app.wire.strict_json import parse

MIX = OrderMix(declined=0.1, sold_out=0.05, duplicates=0.2, nowhere=0.03)
ALL = list(placements(2_000, 42, MIX))
ORDERS: dict[str, Order] = {placement.order["order_id"]: placement.order for placement in ALL}


def is_broke(order: Order) -> bool:
    """Whether the payment service will decline the order."""
    return order["customer_id"].startswith("c-broke")


def is_sold_out(order: Order) -> bool:
    """Whether the reservation service will reject the order."""
    return any(line["sku"].startswith("SOLD-OUT") for line in order["lines"])


def is_nowhere(order: Order) -> bool:
    """Whether the shipping service will refuse the order."""
    return order["customer_id"].startswith("c-nowhere")


def test_every_order_is_valid_on_the_wire() -> None:
    """The orchestrator's strict parser accepts it."""
    for each in ORDERS.values():
        assert fields.order(parse(orjson.dumps(each))) == each


def test_shares_are_exact() -> None:
    """Of 2,000 orders exactly 200 are declined, 100 others sold out, 60 others without a carrier, 400 duplicated."""
    assert len(ORDERS) == 2_000
    assert sum(map(is_broke, ORDERS.values())) == 200
    assert sum(map(is_sold_out, ORDERS.values())) == 100
    assert sum(map(is_nowhere, ORDERS.values())) == 60
    assert not [each for each in ORDERS.values() if is_broke(each) + is_sold_out(each) + is_nowhere(each) > 1]
    assert len(ALL) == 2_400


def test_duplicates_are_equal_orders() -> None:
    """A duplicate follows soon after the first and is the same order; half of them have its message id too."""
    seen: dict[str, tuple[int, Placement]] = {}
    same_id = 0
    for index, placement in enumerate(ALL):
        if placement.order["order_id"] not in seen:
            seen[placement.order["order_id"]] = index, placement
            continue
        before, first = seen[placement.order["order_id"]]
        assert placement.order == first.order
        assert index - before < 60
        same_id += placement.id == first.id
    assert same_id == 200


def test_the_same_seed_gives_the_same_orders() -> None:
    """Byte for byte; another seed gives other orders with other ids."""
    assert list(placements(2_000, 42, MIX)) == ALL
    others = {placement.order["order_id"] for placement in placements(2_000, 43, MIX)}
    assert not others & ORDERS.keys()


def test_an_order_depends_on_its_number_alone() -> None:
    """Other counts and other shares don't change the orders that nobody refuses."""
    plain = {placement.order["order_id"]: placement.order for placement in placements(3_000, 42)}
    same = [id for id, each in ORDERS.items() if plain[id] == each]
    assert len(same) == 1_640


def test_a_seed_gives_the_same_order_for_good() -> None:
    """A seed from an old report still gives the order of that report."""
    assert order(0, seed=1) == {
        "order_id": "o-1-000000",
        "customer_id": "c-17617",
        "total": {"currency": "EUR", "minor": 10890},
        "lines": [
            {"sku": "COF-1001", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1890}},
            {"sku": "KIT-1001", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 4500}},
        ],
    }


def test_baskets_are_realistic() -> None:
    """One to eight distinct products, mostly up to three pieces of each, mostly in euros, with shipping or discount."""
    lines = [line for each in ORDERS.values() for line in each["lines"]]
    sizes = Counter(len(each["lines"]) for each in ORDERS.values())
    assert set(sizes) == set(range(1, 9))
    assert all(len({line["sku"] for line in each["lines"]}) == len(each["lines"]) for each in ORDERS.values())
    assert mean(line["quantity"] <= 3 for line in lines) > 0.9
    currencies = Counter(each["total"]["currency"] for each in ORDERS.values())
    assert 0.7 < currencies["EUR"] / 2_000 < 0.9
    assert len(currencies) > 2
    assert mean(each["total"]["minor"] == lines_minor(each) for each in ORDERS.values()) < 0.9


def lines_minor(order: Order) -> int:
    """The sum of the lines, in minor units."""
    return sum(line["quantity"] * line["unit_price"]["minor"] for line in order["lines"])


def test_some_customers_come_often() -> None:
    """One percent of the customers places a fifth of the orders."""
    customers = [int(each["customer_id"].rpartition("-")[2]) for each in ORDERS.values()]
    assert mean(number < 200 for number in customers) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    "shares",
    ({"declined": 1.5}, {"duplicates": -1}, {"declined": 0.6, "sold_out": 0.6}, {"sold_out": 0.6, "nowhere": 0.6}),
)
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    """A share outside of 0 to 1, and shares whose sum exceeds 1."""
    with pytest.raises(CommandFailed, match="share"):
        OrderMix(**shares)


def test_all_orders_may_be_refused() -> None:
    """Shares with the sum 1 leave no acceptable order."""
    orders = [each.order for each in placements(10, 1, OrderMix(declined=0.5, sold_out=0.3, nowhere=0.2))]
    assert [sum(map(kind, orders)) for kind in (is_broke, is_sold_out, is_nowhere)] == [5, 3, 2]


def test_a_further_share_does_not_change_old_draws() -> None:
    """Without orders that no carrier serves, a seed from an old report still marks the same orders."""
    orders = [each.order for each in placements(20, 1, OrderMix(declined=0.1, sold_out=0.1))]
    assert [number for number, each in enumerate(orders) if is_broke(each)] == [13, 19]
    assert [number for number, each in enumerate(orders) if is_sold_out(each)] == [9, 15]
