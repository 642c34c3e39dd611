"""How far a saga has come, as its events tell it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from app.audit.messages import Decision, Object
from app.audit.terms import DO, UNDO, Effect, Plan, command_id


class Phase(Enum):
    """Where a saga is."""

    NOT_STARTED = "not started"
    FORWARD = "going forward"
    BACKWARD = "going back"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"


class Stand(Enum):
    """Where an effect under way is."""

    WAITING = "waiting to be asked for"
    ASKED = "asked for"
    PAUSING = "pausing"
    FAILED = "given up"
    STUCK = "stuck"


ENDED = (Phase.COMPLETED, Phase.ROLLED_BACK)


@dataclass(slots=True)
class Effort:
    """One effect: how often it was asked for, where it is, and until when (ms since 1970) it stays there by itself."""

    attempts: int = 0
    stand: Stand = Stand.WAITING
    due_ms: int | None = None
    trouble: Decision | None = None
    """The last decision in which it failed or timed out."""
    why: str | None = None
    """The failure's reason."""


@dataclass(slots=True)
class Leg:
    """One step of a saga: what came of doing it and of undoing it."""

    do: Effort = field(default_factory=Effort)
    undo: Effort = field(default_factory=Effort)
    answer: str = ""
    """succeeded or refused; skipped when a person took it as done."""
    result: str | None = None
    undone: bool = False
    by_hand: bool = False
    """A person answers for it: taken as done, as undone, or as never done."""

    @property
    def done(self) -> bool:
        """What comes after it may begin."""
        return self.answer in ("succeeded", "skipped")

    @property
    def stands(self) -> bool:
        """Something of the step was done, or may have been, and is not undone."""
        return self.do.attempts > 0 and self.answer != "refused" and not self.undone

    def effort(self, direction: str) -> Effort:
        """Its doing or its undoing."""
        return self.undo if direction == UNDO else self.do


@dataclass(slots=True)
class Request:
    """A command that an event announces."""

    id: str
    effect: Effect
    attempt: int
    decision: Decision


@dataclass(slots=True)
class Telling:
    """An outcome that an event announces, with its step and reason, if it gives them."""

    type: str
    step: str | None
    reason: str | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class Because:
    """Why a saga goes back."""

    reason: str
    step: str
    requested: bool


@dataclass(slots=True)
class Journey:
    """What the events of one saga add up to; `problems` are breaches found on the way: invariant and text."""

    saga_id: str
    plan: Plan
    phase: Phase = Phase.NOT_STARTED
    legs: dict[str, Leg] = field(default_factory=dict)
    deadline_ms: int | None = None
    because: Because | None = None
    forget_ms: int | None = None
    """From when on (ms since 1970) it may be forgotten; None before its end."""
    requests: list[Request] = field(default_factory=list)
    tellings: list[Telling] = field(default_factory=list)
    ignored: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.legs = {step.name: Leg() for step in self.plan.steps}

    def wrong(self, invariant: str, decision: Decision, text: str) -> None:
        """Notes a breach in a decision."""
        self.problems.append((invariant, f"decision {decision.seq}: {text}"))

    def sends(self, effect: Effect, attempt: int, decision: Decision) -> None:
        """Notes a command to be expected."""
        self.requests.append(Request(command_id(self.saga_id, effect, attempt), effect, attempt, decision))

    def tells(self, decision: Decision, event: Object, type: str) -> None:
        """Notes an outcome to be expected."""
        self.tellings.append(Telling(type, text_of(event, "step"), text_of(event, "reason"), decision))

    def effort(self, effect: Effect) -> Effort | None:
        """How an effect stands; None for a step that the saga doesn't have."""
        leg = self.legs.get(effect[0])
        return None if leg is None else leg.effort(effect[1])

    @property
    def ended(self) -> bool:
        """Nothing more can come of it."""
        return self.phase in ENDED

    @property
    def direction(self) -> str:
        """Whether steps are done or undone now."""
        return UNDO if self.phase is Phase.BACKWARD else DO

    @property
    def under_way(self) -> dict[str, Effort]:
        """The steps whose turn it is to be done, or undone."""
        if self.phase is Phase.FORWARD:
            return {name: leg.do for name, leg in self.legs.items() if not leg.done and not self.missing(name)}
        return {name: self.legs[name].undo for name in self._to_undo()}

    def _to_undo(self) -> Iterator[str]:
        if self.phase is Phase.BACKWARD:
            for name, leg in self.legs.items():
                if leg.stands and self.plan.by_name[name].undo is not None and not self.newer(name):
                    yield name

    @property
    def stuck(self) -> dict[str, Effort]:
        """The steps that a person must see to."""
        return {name: effort for name, effort in self.under_way.items() if effort.stand is Stand.STUCK}

    def missing(self, step: str) -> list[str]:
        """What must be done before a step, and isn't."""
        return sorted(name for name in self.plan.by_name[step].needs if not self.legs[name].done)

    def newer(self, step: str) -> list[str]:
        """What came after a step and still stands, so that it must be undone first."""
        return sorted(name for name in self.plan.later[step] if self.legs[name].stands)

    @property
    def can_go_back(self) -> bool:
        """All that is done or asked for can be undone: the saga is not past its point of no return."""
        pivot = self.plan.pivot
        if pivot is None:
            return True
        leg = self.legs[pivot.name]
        return not leg.done and (leg.do.attempts == 0 or pivot.undo is not None)

    @property
    def told(self) -> str:
        """Where it is, in words."""
        stuck = ", ".join(self.stuck)
        return f"{self.phase.value}, stuck in {stuck}" if stuck else self.phase.value


def text_of(event: Object, name: str) -> str | None:
    """A text of an event; None when it isn't there or is none."""
    value = event.get(name)
    return value if type(value) is str else None


def number_of(event: Object, name: str) -> int | None:
    """A number of an event; None when it isn't there or is none."""
    value = event.get(name)
    return value if type(value) is int else None
