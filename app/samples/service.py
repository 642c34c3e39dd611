"""What a participant is: the names of its messages, and how it judges one order."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.saga.identity import Direction
from app.wire.strict import Object


@dataclass(frozen=True, slots=True)
class Movement:
    """So many units (minor units of a currency, or pieces of a product) that an account gave; negative: got back."""

    account: str
    unit: str
    amount: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The do is done: what is moved by it, and under which id it can be found."""

    result: str
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The do is refused for a business reason; nothing is moved."""

    reason: str


@dataclass(frozen=True, slots=True)
class Service:
    """A participant; `judge` takes the data of a do and raises Bad when they are not as the contract has them.

    `undo` and `undone` are there both or not at all. What can be undone can be refused as well: a do after its undo is.
    """

    name: str
    do: str
    done: str
    failed: str
    result: str
    judge: Callable[[Object], Granted | Refusal] = field(repr=False)
    refused: str | None = None
    undo: str | None = None
    undone: str | None = None

    @property
    def commands_topic(self) -> str:
        """Where it is asked; without prefix."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """Where it answers; without prefix."""
        return f"{self.name}.replies"

    def direction(self, type: str) -> Direction | None:
        """Which way a command of this type goes; None when it is not for this service."""
        if type == self.do:
            return "do"
        return "undo" if type == self.undo else None
