"""Places a demo's orders from a thread of its own, and notes when."""

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from app.demo.plan import Plan
from app.ops.site import Site
from app.samples.orders import Placement, Shares, placements
from app.samples.place import Shop, paced


class Placing(AbstractContextManager["Placing"]):
    """Works while the block runs, and stops with it. `placed_at`: the monotonic time of each first placing."""

    def __init__(self, site: Site, plan: Plan) -> None:
        self._site, self._plan = site, plan
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
        """Places no more; what was handed over is still delivered."""
        self._stop.set()

    @property
    def done(self) -> bool:
        """Whether all are placed; raises what kept them from it."""
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def _placements(self) -> Iterator[Placement]:
        plan = self._plan
        return placements(plan.orders, plan.seed, Shares(plan.declined, plan.sold_out, plan.duplicates))

    def _work(self) -> None:
        try:
            with Shop(self._site) as shop:
                for placement in paced(self._placements(), self._plan.rate):
                    if self._stop.is_set():
                        return
                    self.placed_at.setdefault(placement.order["order_id"], time.monotonic())
                    shop.place(placement)
        except Exception as error:  # noqa: BLE001 - it belongs to the thread that watches
            self._error = error
