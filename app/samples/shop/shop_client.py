"""Sends orders and cancels to the orchestrator, as a shop does."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import uuid4

import orjson

from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.samples.kafka_clients import Sender
from app.samples.shop.invalid_orders import InvalidOrder
from app.samples.shop.orders import Placement
from app.wire import fields
from app.wire.envelope import cloudevent_headers
from app.wire.invalid_record import InvalidRecord
from app.wire.rfc3339 import rfc3339
from app.wire.topics import REQUESTS

SOURCE = b"/shop"


class ShopClient(AbstractContextManager["ShopClient"]):
    """Places orders; the end of the block waits until all are delivered. Raises CommandFailed when one isn't."""

    def __init__(self, cluster: KafkaCluster) -> None:
        self._sender = Sender(cluster)
        self._queued = 0
        self.placed = 0  # orders delivered; set at the end of the block

    def __enter__(self) -> Self:
        self._sender.require(REQUESTS.name)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, Exception):
            self._sender.flush()
            self.placed = self._queued

    def place(self, placement: Placement) -> None:
        """Sends an order; the same placement again is the same message."""
        self._send(placement.id, "order.place", placement.order["order_id"], orjson.dumps(placement.order))
        self._queued += 1

    def cancel(self, order_id: str, reason: str) -> None:
        """Sends a cancel, each call with a message id of its own. Raises CommandFailed for invalid arguments."""
        data = {"order_id": order_id, "reason": reason}
        try:
            value = orjson.dumps({"order_id": fields.order_id(data), "reason": fields.text(data, "reason")})
        except InvalidRecord as bad:
            raise CommandFailed(bad.message) from bad
        self._send(f"{order_id}:cancel:{uuid4().hex}", "order.cancel", order_id, value)

    def send_raw(self, record: InvalidOrder) -> None:
        """Sends an invalid record as it is."""
        self._sender.send(REQUESTS.name, record.key, record.value, record.headers)

    def _send(self, id: str, type: str, order_id: str, value: bytes) -> None:
        key = order_id.encode()
        headers = cloudevent_headers(id, type, SOURCE, rfc3339(time.time_ns() // 1_000_000), key)
        self._sender.send(REQUESTS.name, key, value, headers)


def place_all(
    shop: ShopClient, placements: Iterable[Placement], rate: float | None, invalid: Iterator[InvalidOrder]
) -> None:
    """Places orders at `rate` per second at most, with one invalid record after each while there are any."""
    for placement in paced(placements, rate):
        shop.place(placement)
        for record in islice(invalid, 1):
            shop.send_raw(record)
    for record in invalid:
        shop.send_raw(record)


def paced(placements: Iterable[Placement], rate: float | None) -> Iterator[Placement]:
    """The placements, evenly at `rate` per second; after a pause of the receiver they catch up. None: no limit."""
    start = time.monotonic()
    for number, placement in enumerate(placements):
        if rate is not None:
            time.sleep(max(0.0, start + number / rate - time.monotonic()))
        yield placement
