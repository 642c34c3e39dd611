"""Sends orders and cancels to the orchestrator, as a shop would."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import uuid4

import orjson

from app.ops.site import Site
from app.samples.clients import Sender
from app.samples.hostile import Hostile
from app.samples.orders import Placement
from app.samples.trouble import Trouble
from app.wire import fields
from app.wire.bad import Bad
from app.wire.envelope import spoken
from app.wire.times import rfc3339
from app.wire.topics import REQUESTS

SOURCE = b"/shop"


class Shop(AbstractContextManager["Shop"]):
    """Places orders; leaving the block waits until all are delivered. Raises Trouble when one isn't."""

    def __init__(self, site: Site) -> None:
        self._sender = Sender(site)
        self._handed_over = 0
        self.placed = 0  # known when the block was left

    def __enter__(self) -> Self:
        self._sender.require(REQUESTS.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            self._sender.flush()
            self.placed = self._handed_over

    def place(self, placement: Placement) -> None:
        """Places an order; the same placement again is the same message."""
        self._send(placement.id, "order.place", placement.order["order_id"], orjson.dumps(placement.order))
        self._handed_over += 1

    def cancel(self, order_id: str, reason: str) -> None:
        """Asks for an order to be rolled back; each call is a message of its own."""
        wish = {"order_id": order_id, "reason": reason}
        try:
            value = orjson.dumps({"order_id": fields.order_id(wish), "reason": fields.text(wish, "reason")})
        except Bad as bad:
            raise Trouble(bad.message) from bad
        self._send(f"{order_id}:cancel:{uuid4().hex}", "order.cancel", order_id, value)

    def throw(self, hostile: Hostile) -> None:
        """Sends a record as it is."""
        self._sender.send(REQUESTS.name, hostile.key, hostile.value, hostile.headers)

    def _send(self, id: str, type: str, order_id: str, value: bytes) -> None:
        key = order_id.encode()
        headers = spoken(id, type, SOURCE, rfc3339(time.time_ns() // 1_000_000), key)
        self._sender.send(REQUESTS.name, key, value, headers)


def place_all(shop: Shop, placements: Iterable[Placement], rate: float | None, guests: Iterator[Hostile]) -> None:
    """Places orders, no faster than so many a second, with one hostile record after each as long as there are any."""
    for placement in paced(placements, rate):
        shop.place(placement)
        for guest in islice(guests, 1):
            shop.throw(guest)
    for guest in guests:
        shop.throw(guest)


def paced(placements: Iterable[Placement], rate: float | None) -> Iterator[Placement]:
    """The same, no faster than so many a second, evenly; a pause of the receiver is made up for."""
    start = time.monotonic()
    for number, placement in enumerate(placements):
        if rate is not None:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        yield placement
