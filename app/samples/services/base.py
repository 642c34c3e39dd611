"""A participant's service: the names of its messages, and the function that judges one order."""

from collections.abc import Callable
from dataclasses import dataclass, field

from app.saga.message_ids import Direction
from app.wire.strict_json import Object


@dataclass(frozen=True, slots=True)
class Movement:
    """Units (minor units of a currency, or pieces of a product) taken from an account; negative: given back."""

    account: str
    unit: str
    amount: int


@dataclass(frozen=True, slots=True)
class Granted:
    """The do succeeds: the id of its result, and what it moves."""

    result: str
    movements: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The do is refused for a business reason; it moves nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Service:
    """The message types of a participant, and `judge`: the data of a do to its verdict; InvalidRecord for wrong data.

    `undo` and `undone` are set both or not at all. A service with an undo needs `refused` too: a do that comes after
    its undo is refused.
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
        """The topic of its commands, without prefix."""
        return f"{self.name}.commands"

    @property
    def replies_topic(self) -> str:
        """The topic of its replies, without prefix."""
        return f"{self.name}.replies"

    def direction(self, type: str) -> Direction | None:
        """The direction of a command type; None when the type is not for this service."""
        if type == self.do:
            return "do"
        return "undo" if type == self.undo else None
