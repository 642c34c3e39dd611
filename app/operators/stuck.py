"""Which sagas are stuck, told by the documents of `saga.state`."""

from dataclasses import dataclass

from app.saga.identity import Direction
from app.saga.state import Compensating, Progress, Why, direction_of, stuck
from app.wire import statedoc

# In no spelling of JSON can a document have a stuck step without it, so that all others need not be decoded.
_MARK = f'"{statedoc.STUCK}"'.encode()


@dataclass(frozen=True, slots=True)
class StuckStep:
    """A step that a person must see to, be it done or undone, and asked for so often; times in ms since 1970.

    `why` says why its saga goes back; None when it doesn't.
    """

    order_id: str
    step: str
    direction: Direction
    attempts: int
    since_ms: int
    reason: str
    why: Why | None


class StuckSagas:
    """Takes in documents in the topic's order, and keeps only those of sagas that are stuck by the last of them."""

    def __init__(self) -> None:
        self._found: dict[bytes, list[StuckStep]] = {}
        self._unreadable: set[bytes] = set()
        self.documents = 0

    @property
    def unreadable(self) -> int:
        """How many sagas may be stuck, but have a document that isn't one of this version."""
        return len(self._unreadable)

    def take(self, key: bytes, value: bytes | None) -> None:
        """A saga's document, or None: the saga is forgotten."""
        self._found.pop(key, None)
        self._unreadable.discard(key)
        if value is None:
            return
        self.documents += 1
        if _MARK not in value:
            return
        try:
            steps = _steps(key.decode(errors="replace"), statedoc.decode(value))
        except ValueError:
            self._unreadable.add(key)
            return
        if steps:
            self._found[key] = steps

    def steps(self) -> list[StuckStep]:
        """All of them, the oldest first."""
        every = [step for steps in self._found.values() for step in steps]
        return sorted(every, key=lambda step: (step.since_ms, step.order_id, step.step))


def _steps(order_id: str, progress: Progress) -> list[StuckStep]:
    state = progress.state
    why = state.why if isinstance(state, Compensating) else None
    direction = direction_of(state)
    return [
        StuckStep(order_id, leg.step, direction, leg.attempt, leg.since_ms, leg.reason, why) for leg in stuck(state)
    ]
