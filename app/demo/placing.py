"""Places a run's orders on a thread of its own, and notes the time of each."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from app.demo.plan import Plan
from app.ops.kafka_cluster import KafkaCluster
from app.samples.shop.orders import OrderMix, Placement, placements
from app.samples.shop.shop_client import ShopClient, paced


class Placing(AbstractContextManager["Placing"]):
    """Places orders while the block runs. `placed_at` has the monotonic time at which each order was first placed."""

    def __init__(self, cluster: KafkaCluster, plan: Plan) -> None:
        self._cluster, self._plan = cluster, plan
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="placing", daemon=True)
        self._error: BaseException | None = None
        self.placed_at: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Places no more orders; those handed over to the producer are still delivered."""
        self._stop.set()

    @property
    def done(self) -> bool:
        """Whether all orders are placed; raises the error that stopped the thread."""
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def _placements(self) -> Iterator[Placement]:
        plan = self._plan
        return placements(plan.orders, plan.seed, OrderMix(plan.declined, plan.sold_out, plan.duplicates))

    def _work(self) -> None:
        try:
            with ShopClient(self._cluster) as shop:
                for placement in paced(self._placements(), self._plan.rate):
                    if self._stop.is_set():
                        return
                    self.placed_at.setdefault(placement.order["order_id"], time.monotonic())
                    shop.place(placement)
        except Exception as error:  # noqa: BLE001 - raised by `done`, on the watching thread
            self._error = error
