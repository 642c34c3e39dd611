"""Generated orders are valid, realistic, exact in their shares, and the same for the same seed."""

from collections import Counter
from statistics import mean

import orjson
import pytest

from app.saga.messages import Order
from app.samples.orders import Placement, Shares, order, placements
from app.samples.trouble import Trouble
from app.wire import fields
from app.wire.strict import parse

SHARES = Shares(declined=0.1, sold_out=0.05, duplicates=0.2, nowhere=0.03)
ALL = list(placements(2_000, 42, SHARES))
ORDERS: dict[str, Order] = {placement.order["order_id"]: placement.order for placement in ALL}


def is_broke(order: Order) -> bool:
    """Whether the payment will be declined."""
    return order["customer_id"].startswith("c-broke")


def is_sold_out(order: Order) -> bool:
    """Whether a product is missing."""
    return any(line["sku"].startswith("SOLD-OUT") for line in order["lines"])


def is_nowhere(order: Order) -> bool:
    """Whether no carrier will take it."""
    return order["customer_id"].startswith("c-nowhere")


def test_every_order_is_valid_on_the_wire() -> None:
    """What is generated passes the strict reading that the orchestrator does."""
    for each in ORDERS.values():
        assert fields.order(parse(orjson.dumps(each))) == each


def test_shares_are_exact() -> None:
    """Of 2,000 orders just 200 are declined, 100 others sold out, 60 others go nowhere, and 400 come twice."""
    assert len(ORDERS) == 2_000
    assert sum(map(is_broke, ORDERS.values())) == 200
    assert sum(map(is_sold_out, ORDERS.values())) == 100
    assert sum(map(is_nowhere, ORDERS.values())) == 60
    assert not [each for each in ORDERS.values() if is_broke(each) + is_sold_out(each) + is_nowhere(each) > 1]
    assert len(ALL) == 2_400


def test_duplicates_say_the_same() -> None:
    """A duplicate has the content of the first, soon after it; half of them have its message id too."""
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
    """Told again to the byte; another seed gives other orders with other ids."""
    assert list(placements(2_000, 42, SHARES)) == ALL
    others = {placement.order["order_id"] for placement in placements(2_000, 43, SHARES)}
    assert not others & ORDERS.keys()


def test_an_order_depends_on_its_number_alone() -> None:
    """More orders or other shares leave the orders that nothing is refused as they were."""
    plain = {placement.order["order_id"]: placement.order for placement in placements(3_000, 42)}
    same = [id for id, each in ORDERS.items() if plain[id] == each]
    assert len(same) == 1_640


def test_a_seed_keeps_its_meaning() -> None:
    """The drawing is fixed: a seed from an old report still gives the same order."""
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
    """What the lines come to."""
    return sum(line["quantity"] * line["unit_price"]["minor"] for line in order["lines"])


def test_some_customers_come_often() -> None:
    """A hundredth of the customers gives a fifth of the orders."""
    customers = [int(each["customer_id"].rpartition("-")[2]) for each in ORDERS.values()]
    assert mean(number < 200 for number in customers) == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    "shares",
    ({"declined": 1.5}, {"duplicates": -1}, {"declined": 0.6, "sold_out": 0.6}, {"sold_out": 0.6, "nowhere": 0.6}),
)
def test_impossible_shares_are_refused(shares: dict[str, float]) -> None:
    """A share outside of 0 to 1, or shares which together are too much, are named."""
    with pytest.raises(Trouble, match="share"):
        Shares(**shares)


def test_all_may_be_in_trouble() -> None:
    """Shares that make up the whole leave no order as it was."""
    orders = [each.order for each in placements(10, 1, Shares(declined=0.5, sold_out=0.3, nowhere=0.2))]
    assert [sum(map(kind, orders)) for kind in (is_broke, is_sold_out, is_nowhere)] == [5, 3, 2]


def test_a_share_more_leaves_old_draws_alone() -> None:
    """Without orders that go nowhere, a seed from an old report still marks the same orders."""
    orders = [each.order for each in placements(20, 1, Shares(declined=0.1, sold_out=0.1))]
    assert [number for number, each in enumerate(orders) if is_broke(each)] == [13, 19]
    assert [number for number, each in enumerate(orders) if is_sold_out(each)] == [9, 15]
