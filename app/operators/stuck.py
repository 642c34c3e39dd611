"""The stuck steps of all sagas, from the state documents in `saga.state`."""

from dataclasses import dataclass

from app.saga.message_ids import Direction
from app.saga.state import Compensating, Progress, Why, direction_of, stuck
from app.wire import state_codec

# The codec writes this text into every document with a stuck step; all others need not be decoded.
_STUCK_TEXT = f'"{state_codec.STUCK}"'.encode()


@dataclass(frozen=True, slots=True)
class StuckStep:
    """A step whose do or undo waits for an operator, after so many attempts; `since_ms` counts from 1970.

    `why` is the reason of the saga's rollback; None when the saga isn't rolling back.
    """

    order_id: str
    step: str
    direction: Direction
    attempts: int
    since_ms: int
    reason: str
    why: Why | None


class StuckSagas:
    """Keeps the stuck steps of each saga's last document; memory grows with stuck sagas only."""

    def __init__(self) -> None:
        self._found: dict[bytes, list[StuckStep]] = {}
        self._unreadable: set[bytes] = set()
        self.documents = 0

    @property
    def unreadable(self) -> int:
        """The number of sagas that may be stuck, but whose last document was written by another version."""
        return len(self._unreadable)

    def take(self, key: bytes, value: bytes | None) -> None:
        """Takes a saga's next document in the topic's order; None, a tombstone, ends the saga."""
        self._found.pop(key, None)
        self._unreadable.discard(key)
        if value is None:
            return
        self.documents += 1
        if _STUCK_TEXT not in value:
            return
        try:
            steps = _steps(key.decode(errors="replace"), state_codec.decode(value))
        except ValueError:
            self._unreadable.add(key)
            return
        if steps:
            self._found[key] = steps

    def steps(self) -> list[StuckStep]:
        """All stuck steps, the oldest first."""
        every = [step for steps in self._found.values() for step in steps]
        return sorted(every, key=lambda step: (step.since_ms, step.order_id, step.step))


def _steps(order_id: str, progress: Progress) -> list[StuckStep]:
    state = progress.state
    why = state.why if isinstance(state, Compensating) else None
    direction = direction_of(state)
    return [
        StuckStep(order_id, step.step, direction, step.attempt, step.since_ms, step.reason, why)
        for step in stuck(state)
    ]
