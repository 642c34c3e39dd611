"""How far a saga has come, as its events tell it."""

from dataclasses import dataclass, field
from enum import Enum

from app.audit.messages import Decision, Object
from app.audit.terms import STEPS, UNDO, Effect, command_id


class Phase(Enum):
    """Where a saga is."""

    NOT_STARTED = "not started"
    FORWARD = "going forward"
    BACKWARD = "going back"
    STUCK = "stuck"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"


ENDED = (Phase.COMPLETED, Phase.ROLLED_BACK)


@dataclass(slots=True)
class Leg:
    """One step of a saga: how often it was asked for and undone, and what came of it."""

    attempts: int = 0
    troubled: bool = False
    """The last attempt failed or timed out: the step may be asked for again, or be given up."""
    answer: str = ""
    result: str | None = None
    after: frozenset[str] = frozenset()
    """The steps that had succeeded before this one was first asked for."""
    undos: int = 0
    undo_troubled: bool = False
    undone: bool = False
    by_hand: bool = False

    @property
    def stands(self) -> bool:
        """Something of the step was done, or may have been, and is not undone."""
        return self.attempts > 0 and self.answer != "refused" and not self.undone


@dataclass(slots=True)
class Request:
    """A command that an event announces."""

    id: str
    effect: Effect
    attempt: int
    decision: Decision


@dataclass(slots=True)
class Telling:
    """An outcome that an event announces: one of these types, with its step and reason, if it gives them."""

    types: tuple[str, ...]
    step: str | None
    reason: str | None
    decision: Decision


@dataclass(slots=True)
class Journey:
    """What the events of one saga add up to; `problems` are breaches found on the way: invariant and text."""

    saga_id: str
    phase: Phase = Phase.NOT_STARTED
    legs: dict[str, Leg] = field(default_factory=lambda: {name: Leg() for name in STEPS})
    stuck_in: str = ""
    wishes: set[str] = field(default_factory=set)
    """What people asked for and were granted: order.cancel, saga.compensate, ..."""
    requests: list[Request] = field(default_factory=list)
    tellings: list[Telling] = field(default_factory=list)
    ignored: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def wrong(self, invariant: str, decision: Decision, text: str) -> None:
        """Notes a breach in a decision."""
        self.problems.append((invariant, f"decision {decision.seq}: {text}"))

    def sends(self, effect: Effect, attempt: int, decision: Decision) -> None:
        """Notes a command to be expected."""
        self.requests.append(Request(command_id(self.saga_id, effect, attempt), effect, attempt, decision))

    def tells(self, decision: Decision, event: Object, *types: str) -> None:
        """Notes an outcome to be expected."""
        step, reason = (text if type(text) is str else None for text in (event.get("step"), event.get("reason")))
        self.tellings.append(Telling(types, step, reason, decision))

    def sent(self, effect: Effect) -> int:
        """How many attempts of an effect were asked for so far."""
        leg = self.legs[effect[0]]
        return leg.undos if effect[1] == UNDO else leg.attempts

    @property
    def ended(self) -> bool:
        """Nothing more can come of it."""
        return self.phase in ENDED
