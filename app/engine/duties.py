"""What sagas wait for besides messages: the time, and room at a participant."""

from collections.abc import Mapping
from typing import Protocol

from app.engine.batch import Batch, KeyState
from app.engine.horizon import Horizon
from app.engine.offsets import Place
from app.engine.ownership import Ownership
from app.wire.writer import Out

_MOST = 2000  # of each kind in one batch, shared by the partitions


class Keeper(Protocol):
    """Keeps the sagas going: says what a due time, and what room, leads to."""

    def expire(self, saga_id: str, due_ms: int, state: KeyState, at_ms: int) -> list[Out]:
        """The time that a saga waited for has come."""

    def admit(self, saga_id: str, step: str, state: KeyState, at_ms: int) -> list[Out]:
        """There is room for a step that waits."""


class Duties:
    """Sees to what is due, and lets in what waits; a bounded number at a time."""

    def __init__(self, ownership: Ownership, horizon: Horizon, keeper: Keeper | None) -> None:
        self._own = ownership
        self._horizon = horizon
        self._keeper = keeper

    def next_ms(self) -> int | None:
        """When (ms since 1970) there is something to do again, as far as is known now."""
        return min((store.next_ms() for store in self._own.stores.values()), default=None)

    def see_to(self, batch: Batch, ahead: Mapping[Place, int], now_ms: int) -> bool:
        """Does what is to be done in the partition in hand, and tells whether there was anything.

        `ahead` are positions of its inputs that are as good as read, but not noted.
        """
        if self._keeper is None:
            return False
        number = batch.partition
        store, most, touched = self._own.stores[number], 1 + _MOST // len(self._own.stores), False
        store.look_ahead(now_ms)
        until = self._until(number, ahead, now_ms)
        for due_ms, key in store.due(until, most):
            touched = True
            _send(batch, self._keeper.expire(key.decode(), due_ms, KeyState(store, key), now_ms))
        for step, key in store.let_in(now_ms, most):
            touched = True
            _send(batch, self._keeper.admit(key.decode(), step, KeyState(store, key), now_ms))
        return touched

    def clear(self) -> None:
        """Forgets what was seen of partitions that go to others."""
        self._horizon.clear()

    def _until(self, number: int, ahead: Mapping[Place, int], now_ms: int) -> int:
        """Up to when a partition's due times may be seen to: nothing older may be left to be read."""
        first = self._own.stores[number].timers.next_ms()
        if first is None or first > now_ms:
            return 0
        until = self._horizon.until(number, {**self._own.positions, **ahead})
        if until < first:
            self._horizon.look(self._own.positions, now_ms)
        return min(now_ms, until)


def _send(batch: Batch, outs: list[Out]) -> None:
    for out in outs:
        batch.send(out)
