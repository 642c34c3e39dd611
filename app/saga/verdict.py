"""The verdict on an input: a closed union."""

from typing import Literal

from app.saga.events import Event
from app.saga.immutable import immutable
from app.saga.state import NotStarted, Progress, SagaData


@immutable
class Decision:
    """The saga accepted the input: these events happened, and led to this progress."""

    events: list[Event]
    progress: Progress

    @property
    def data(self) -> SagaData:
        """The saga's data after the decision."""
        state = self.progress.state
        if isinstance(state, NotStarted):
            raise TypeError("a saga with a decision has started")
        return state.data


@immutable
class NoChange:
    """The input changes nothing and leaves no record: a duplicate order, or a timer that no longer counts."""


@immutable
class Expired:
    """The saga's retention is over: its state is deleted, its events stay."""


@immutable
class DeadLettered:
    """No saga can accept the input: it goes to the dead letters."""

    code: Literal["conflict", "unknown_order"]
    message: str


Verdict = Decision | NoChange | Expired | DeadLettered
NO_CHANGE = NoChange()
EXPIRED = Expired()
