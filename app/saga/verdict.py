"""What comes of an input."""

from typing import Literal

from app.saga.events import Event
from app.saga.facts import fact
from app.saga.state import Progress


@fact
class Decision:
    """The saga took the input in: these events happened, and led to this progress."""

    events: list[Event]
    progress: Progress


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
