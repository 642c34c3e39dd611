"""Realistic orders, drawn from a seed: the same seed gives the same orders, each by its number alone."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, fields
from random import Random
from typing import Literal, get_args

from app.saga.messages import Line, Money, Order
from app.samples.catalogue import CURRENCIES, PRODUCTS, Currency, Product
from app.samples.payment import BROKE
from app.samples.reservation import SOLD_OUT
from app.samples.shipping import NOWHERE
from app.samples.trouble import Trouble

_LINES = (30, 25, 16, 11, 8, 5, 3, 2)  # weights of 1 to 8 lines
_QUANTITIES = (62, 22, 9, 3, 2, 1, 1)  # weights of 1 to 7 pieces
_POPULAR = tuple(1 / (rank + 3) for rank in range(len(PRODUCTS)))
_CUSTOMERS = 20_000
_LOYALTY = 3  # so that one customer in a hundred gives a fifth of the orders
_SHIPPING, _FREE_FROM = 490, 5_000  # euro cents
_DISCOUNTED = 0.15
_LATER = 20  # a duplicate comes at most so many orders after the first

Hitch = Literal["declined", "sold_out", "nowhere"]
_MARKS: dict[Hitch | None, str] = {"declined": BROKE, "nowhere": NOWHERE}  # of customers; others have "c"


@dataclass(frozen=True, slots=True)
class Shares:
    """Exact shares, from 0 to 1, of the orders asked for: payment declined, a product sold out, sent twice, no carrier.

    Raises Trouble, with a sentence, for what cannot be.
    """

    declined: float = 0.0
    sold_out: float = 0.0
    duplicates: float = 0.0
    nowhere: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not 0 <= getattr(self, field.name) <= 1:
                raise Trouble(f"{field.name} is a share: give a number from 0 to 1")
        if self.declined + self.sold_out + self.nowhere > 1:
            raise Trouble(
                "declined, sold_out and nowhere are shares of the same orders: together they can't be more than 1"
            )


HARMLESS = Shares()


@dataclass(frozen=True, slots=True)
class Placement:
    """An order as one message, with the message's id."""

    id: str
    order: Order


def first(order: Order) -> Placement:
    """The message that places an order for the first time."""
    return Placement(f"{order['order_id']}:place", order)


def placements(count: int, seed: int, shares: Shares = HARMLESS) -> Iterator[Placement]:
    """So many orders, and beside them the duplicates, each some orders later: every other one with an id of its own."""
    rng = Random(f"{seed} shares")
    hitches = _hitches(count, shares, rng)
    twice = {index: nth for nth, index in enumerate(rng.sample(range(count), round(count * shares.duplicates)))}
    waiting: list[tuple[int, int, Placement]] = []
    for index in range(count):
        once = first(order(index, seed, hitches.get(index)))
        yield once
        if index in twice:
            again = once if twice[index] % 2 else Placement(f"{once.id}:again", once.order)
            heapq.heappush(waiting, (index + rng.randrange(_LATER), index, again))
        while waiting and waiting[0][0] <= index:
            yield heapq.heappop(waiting)[2]
    yield from (again for _, _, again in sorted(waiting, key=lambda item: item[:2]))


def _hitches(count: int, shares: Shares, rng: Random) -> dict[int, Hitch]:
    """Which orders, by number, will be refused something."""
    kinds: list[Hitch] = []
    for kind in get_args(Hitch):
        kinds += [kind] * round(count * getattr(shares, kind))
    return dict(zip(rng.sample(range(count), min(count, len(kinds))), kinds, strict=False))


def order(index: int, seed: int, hitch: Hitch | None = None) -> Order:
    """The order of that number; with a hitch its payment, reservation or shipping will be refused."""
    rng = Random(f"{seed} {index}")
    customer = int(_CUSTOMERS * rng.random() ** _LOYALTY)
    currency = rng.choices(CURRENCIES, [each.share for each in CURRENCIES])[0]
    bought = _basket(rng)
    lines = [_line(product, quantity, currency) for product, quantity in bought]
    if hitch == "sold_out":
        lines[0]["sku"] = f"{SOLD_OUT}-{lines[0]['sku']}"
    return {
        "order_id": f"o-{seed}-{index:06d}",
        "customer_id": f"{_MARKS.get(hitch, 'c')}-{customer:05d}",
        "total": _total(rng, lines, currency),
        "lines": lines,
    }


def _basket(rng: Random) -> list[tuple[Product, int]]:
    """Distinct products, the popular ones more often, mostly one or two pieces of each."""
    size = rng.choices(range(1, len(_LINES) + 1), _LINES)[0]
    products: dict[Product, int] = {}
    while len(products) < size:
        product = rng.choices(PRODUCTS, _POPULAR)[0]
        products.setdefault(product, rng.choices(range(1, len(_QUANTITIES) + 1), _QUANTITIES)[0])
    return list(products.items())


def _line(product: Product, quantity: int, currency: Currency) -> Line:
    return {"sku": product.sku, "quantity": quantity, "unit_price": _money(currency, product.cents)}


def _total(rng: Random, lines: list[Line], currency: Currency) -> Money:
    """The lines less a discount, if there is one, and with shipping, if there is any."""
    minor = sum(line["quantity"] * line["unit_price"]["minor"] for line in lines)
    shipping = 0 if minor >= _FREE_FROM * currency.minor_per_cent else _money(currency, _SHIPPING)["minor"]
    if rng.random() < _DISCOUNTED:
        minor -= minor * rng.choice((5, 10, 20)) // 100
    return {"currency": currency.code, "minor": minor + shipping}


def _money(currency: Currency, cents: int) -> Money:
    return {"currency": currency.code, "minor": round(cents * currency.minor_per_cent)}
