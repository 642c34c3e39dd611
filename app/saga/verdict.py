"""What comes of an input."""

from typing import Literal

from app.saga.events import Event
from app.saga.facts import fact
from app.saga.state import Facts, NotStarted, Progress


@fact
class Decision:
    """The saga took the input in: these events happened, and led to this progress."""

    events: list[Event]
    progress: Progress

    @property
    def facts(self) -> Facts:
        """What the saga knows now."""
        state = self.progress.state
        if isinstance(state, NotStarted):
            raise TypeError("a saga that took something in has started")
        return state.facts


@fact
class Nothing:
    """The input changes nothing and leaves no record: a duplicate order, or a timer that was overtaken."""


@fact
class Forgotten:
    """The saga ended long enough ago: its state is deleted. Its events tell of it for good."""


@fact
class Unacceptable:
    """No saga can take the input in: it belongs to the dead letters."""

    code: Literal["conflict", "unknown_order"]
    message: str


Verdict = Decision | Nothing | Forgotten | Unacceptable
NOTHING = Nothing()
FORGOTTEN = Forgotten()
