"""Realistic orders, drawn from a seed: an order depends on the seed and its number alone."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, fields
from random import Random
from typing import Literal, get_args

from app.ops.errors import CommandFailed
from app.saga.messages import Line, Money, Order
from app.samples.services.payment import BROKE
from app.samples.services.reservation import SOLD_OUT
from app.samples.services.shipping import NOWHERE
from app.samples.shop.catalogue import CURRENCIES, PRODUCTS, Currency, Product

_LINES = (30, 25, 16, 11, 8, 5, 3, 2)  # weights of 1 to 8 lines
_QUANTITIES = (62, 22, 9, 3, 2, 1, 1)  # weights of 1 to 7 pieces
_POPULAR = tuple(1 / (rank + 3) for rank in range(len(PRODUCTS)))
_CUSTOMERS = 20_000
_LOYALTY = 3  # exponent with which 1 % of the customers place a fifth of the orders
_SHIPPING, _FREE_FROM = 490, 5_000  # euro cents
_DISCOUNTED = 0.15
_LATER = 20  # orders, at most, between an order and its duplicate

Rejection = Literal["declined", "sold_out", "nowhere"]
_CUSTOMER_PREFIX: dict[Rejection | None, str] = {"declined": BROKE, "nowhere": NOWHERE}  # others: "c"


@dataclass(frozen=True, slots=True)
class OrderMix:
    """Exact shares, from 0 to 1, of the orders: payment declined, product sold out, sent twice, no carrier.

    Raises CommandFailed, with a sentence, for impossible shares.
    """

    declined: float = 0.0
    sold_out: float = 0.0
    duplicates: float = 0.0
    nowhere: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise CommandFailed(f"{field.name} is a share: give a number from 0 to 1")
        if self.declined + self.sold_out + self.nowhere > 1:
            raise CommandFailed(
                "declined, sold_out and nowhere are shares of the same orders: together they can't be more than 1"
            )


ACCEPTABLE = OrderMix()
"""No order is refused or sent twice."""


@dataclass(frozen=True, slots=True)
class Placement:
    """An order in one message, and the message id."""

    id: str
    order: Order


def first_placement(order: Order) -> Placement:
    """The message that places an order for the first time."""
    return Placement(f"{order['order_id']}:place", order)


def placements(count: int, seed: int, mix: OrderMix = ACCEPTABLE) -> Iterator[Placement]:
    """So many orders, and duplicates up to 20 orders later; every other duplicate has a message id of its own."""
    rng = Random(f"{seed} shares")
    rejections = _rejections(count, mix, rng)
    twice = {index: nth for nth, index in enumerate(rng.sample(range(count), round(count * mix.duplicates)))}
    duplicates: list[tuple[int, int, Placement]] = []
    for index in range(count):
        once = first_placement(order(index, seed, rejections.get(index)))
        yield once
        if index in twice:
            again = once if twice[index] % 2 else Placement(f"{once.id}:again", once.order)
            heapq.heappush(duplicates, (index + rng.randrange(_LATER), index, again))
        while duplicates and duplicates[0][0] <= index:
            yield heapq.heappop(duplicates)[2]
    yield from (again for _, _, again in sorted(duplicates, key=lambda item: item[:2]))


def _rejections(count: int, mix: OrderMix, rng: Random) -> dict[int, Rejection]:
    """Numbers of the orders that a participant will refuse, with the reason."""
    kinds: list[Rejection] = []
    for kind in get_args(Rejection):
        kinds += [kind] * round(count * getattr(mix, kind))
    return dict(zip(rng.sample(range(count), min(count, len(kinds))), kinds, strict=False))


def order(index: int, seed: int, rejection: Rejection | None = None) -> Order:
    """The order of that number; `rejection` makes the payment, reservation or shipping service refuse it."""
    rng = Random(f"{seed} {index}")
    customer = int(_CUSTOMERS * rng.random() ** _LOYALTY)
    currency = rng.choices(CURRENCIES, [each.share for each in CURRENCIES])[0]
    bought = _basket(rng)
    lines = [_line(product, quantity, currency) for product, quantity in bought]
    if rejection == "sold_out":
        lines[0]["sku"] = f"{SOLD_OUT}-{lines[0]['sku']}"
    return {
        "order_id": f"o-{seed}-{index:06d}",
        "customer_id": f"{_CUSTOMER_PREFIX.get(rejection, 'c')}-{customer:05d}",
        "total": _total(rng, lines, currency),
        "lines": lines,
    }


def _basket(rng: Random) -> list[tuple[Product, int]]:
    """Distinct products, popular ones more often, mostly one or two pieces of each."""
    size = rng.choices(range(1, len(_LINES) + 1), _LINES)[0]
    products: dict[Product, int] = {}
    while len(products) < size:
        product = rng.choices(PRODUCTS, _POPULAR)[0]
        products.setdefault(product, rng.choices(range(1, len(_QUANTITIES) + 1), _QUANTITIES)[0])
    return list(products.items())


def _line(product: Product, quantity: int, currency: Currency) -> Line:
    return {"sku": product.sku, "quantity": quantity, "unit_price": _money(currency, product.cents)}


def _total(rng: Random, lines: list[Line], currency: Currency) -> Money:
    """The sum of the lines, less a discount on some orders, plus shipping on small ones."""
    minor = sum(line["quantity"] * line["unit_price"]["minor"] for line in lines)
    shipping = 0 if minor >= _FREE_FROM * currency.minor_per_cent else _money(currency, _SHIPPING)["minor"]
    if rng.random() < _DISCOUNTED:
        minor -= minor * rng.choice((5, 10, 20)) // 100
    return {"currency": currency.code, "minor": minor + shipping}


def _money(currency: Currency, cents: int) -> Money:
    return {"currency": currency.code, "minor": round(cents * currency.minor_per_cent)}
