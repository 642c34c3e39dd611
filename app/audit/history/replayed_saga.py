"""The state of one saga as the replay of its events builds it, and the violations found on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from app.audit.recording.records import Decision, Object
from app.audit.recording.timer_causes import DEADLINE
from app.audit.spec import DO, UNDO, Effect, VersionSpec, command_id


class Phase(Enum):
    """The state of the whole saga; the values appear in violations."""

    NOT_STARTED = "not started"
    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    ROLLED_BACK = "rolled back"


class StepStatus(Enum):
    """The status of an effect that is to be requested, or was; the values appear in violations."""

    QUEUED = "queued"
    IN_FLIGHT = "in flight"
    BACKING_OFF = "backing off"
    FAILED = "given up"
    STUCK = "stuck"


ENDED = (Phase.COMPLETED, Phase.ROLLED_BACK)


@dataclass(slots=True)
class EffectAttempts:
    """The attempts of one effect: `count` were requested; at `due_ms` (since 1970) the timer of its status is due."""

    count: int = 0
    status: StepStatus = StepStatus.QUEUED
    due_ms: int | None = None
    failed_in: Decision | None = None
    """The last decision in which the effect failed or timed out."""
    failure: str | None = None
    """The reason of the last failure; None after a timeout."""
    queued_by: str = ""
    """While it is queued: the id of the message that queued it; empty if a timer did."""


@dataclass(slots=True)
class ReplayedStep:
    """One step of a saga: the attempts to do it and to undo it, and their results."""

    do: EffectAttempts = field(default_factory=EffectAttempts)
    undo: EffectAttempts = field(default_factory=EffectAttempts)
    settled_as: str = ""
    """succeeded or refused, by its final reply; skipped if an operator took it as done; else empty."""
    result: str | None = None
    undone: bool = False
    by_operator: bool = False
    """An operator vouches for the step: it counts as done, as undone, or as never done."""

    @property
    def done(self) -> bool:
        """Steps that need this one may begin."""
        return self.settled_as in ("succeeded", "skipped")

    @property
    def is_in_effect(self) -> bool:
        """The step was done, or may have been done, and is not undone."""
        return self.do.count > 0 and self.settled_as != "refused" and not self.undone

    def attempts_of(self, direction: str) -> EffectAttempts:
        """The attempts in one direction: do or undo."""
        return self.undo if direction == UNDO else self.do


@dataclass(slots=True)
class ExpectedCommand:
    """A command that an event announces."""

    id: str
    effect: Effect
    attempt: int
    decision: Decision


@dataclass(slots=True)
class ExpectedOutcome:
    """An outcome that an event announces, with the event's step and reason if it has them."""

    type: str
    step: str | None
    reason: str | None
    decision: Decision


@dataclass(frozen=True, slots=True)
class Because:
    """Why a saga compensates; `requested` if a shop or an operator asked for it."""

    reason: str
    step: str
    requested: bool


@dataclass(slots=True)
class ReplayedSaga:
    """The result of replaying one saga's events; `violations` are pairs of invariant and text."""

    saga_id: str
    version: VersionSpec
    phase: Phase = Phase.NOT_STARTED
    steps: dict[str, ReplayedStep] = field(default_factory=dict)
    deadline_ms: int | None = None
    because: Because | None = None
    forget_ms: int | None = None
    """The end of the saga's retention, in ms since 1970; None before the saga has ended."""
    expected_commands: list[ExpectedCommand] = field(default_factory=list)
    expected_outcomes: list[ExpectedOutcome] = field(default_factory=list)
    ignored_replies: int = 0
    queued: set[Effect] = field(default_factory=set)
    """The active effects that are queued after the last decision."""
    queued_by: dict[int, str] = field(default_factory=dict)
    """For each decision (by its number) on a queued effect: the id of the message that had queued it."""
    violations: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.steps = {step.name: ReplayedStep() for step in self.version.steps}

    def violation(self, invariant: str, decision: Decision, text: str) -> None:
        """Records a violation in a decision."""
        self.violations.append((invariant, f"decision {decision.seq}: {text}"))

    def expect_command(self, effect: Effect, attempt: int, decision: Decision) -> None:
        """Records the command that a request event announces."""
        self.expected_commands.append(
            ExpectedCommand(command_id(self.saga_id, effect, attempt), effect, attempt, decision)
        )

    def expect_outcome(self, decision: Decision, event: Object, type: str) -> None:
        """Records the outcome that an event announces."""
        self.expected_outcomes.append(ExpectedOutcome(type, text_of(event, "step"), text_of(event, "reason"), decision))

    def attempts_of(self, effect: Effect) -> EffectAttempts | None:
        """The attempts of an effect; None if the saga has no such step."""
        step = self.steps.get(effect[0])
        return None if step is None else step.attempts_of(effect[1])

    @property
    def ended(self) -> bool:
        """The saga is completed or rolled back."""
        return self.phase in ENDED

    @property
    def direction(self) -> str:
        """The direction of active steps: do, or undo while the saga compensates."""
        return UNDO if self.phase is Phase.COMPENSATING else DO

    @property
    def active(self) -> dict[str, EffectAttempts]:
        """The steps to be done now, or to be undone now, by name."""
        if self.phase is Phase.RUNNING:
            return {name: step.do for name, step in self.steps.items() if not step.done and not self.missing(name)}
        return {name: self.steps[name].undo for name in self._to_undo()}

    def note_queued(self, cause_id: str) -> None:
        """Notes the effects that a decision has queued; `cause_id` is the id of its message, empty for a timer."""
        direction, queued = self.direction, set[Effect]()
        for name, attempts in self.active.items():
            if attempts.status is StepStatus.QUEUED:
                queued.add((name, direction))
                if (name, direction) not in self.queued:
                    attempts.queued_by = cause_id
        self.queued = queued

    def _to_undo(self) -> Iterator[str]:
        if self.phase is Phase.COMPENSATING:
            for name, step in self.steps.items():
                if step.is_in_effect and self.version.by_name[name].undo is not None and not self.later(name):
                    yield name

    @property
    def stuck(self) -> dict[str, EffectAttempts]:
        """The active steps that wait for an operator, by name."""
        return {name: attempts for name, attempts in self.active.items() if attempts.status is StepStatus.STUCK}

    def missing(self, step: str) -> list[str]:
        """The steps that this one needs and that are not done."""
        return sorted(name for name in self.version.by_name[step].needs if not self.steps[name].done)

    def later(self, step: str) -> list[str]:
        """The steps that need this one and are still in effect: they must be undone first."""
        return sorted(name for name in self.version.later[step] if self.steps[name].is_in_effect)

    @property
    def can_compensate(self) -> bool:
        """The saga is not past its pivot: all that is done or requested can be undone."""
        pivot = self.version.pivot
        if pivot is None:
            return True
        step = self.steps[pivot.name]
        return not step.done and (step.do.count == 0 or pivot.undo is not None)

    @property
    def phase_text(self) -> str:
        """The phase and the stuck steps, as text."""
        stuck = ", ".join(self.stuck)
        return f"{self.phase.value}, stuck in {stuck}" if stuck else self.phase.value


def text_of(event: Object, name: str) -> str | None:
    """A text field of an event; None if it is missing or not text."""
    value = event.get(name)
    return value if type(value) is str else None


def number_of(event: Object, name: str) -> int | None:
    """A number field of an event; None if it is missing or not an integer."""
    value = event.get(name)
    return value if type(value) is int else None


def timed_effect(decision: Decision) -> tuple[Effect, int]:
    """The effect and attempt that a decision's timer ends; for the deadline, those that the rollback names."""
    timer = decision.timer
    if timer is None or timer.kind != DEADLINE:
        return (timer.effect, timer.attempt) if timer else (("", ""), 0)
    last = next((event for event in reversed(decision.events) if "because" in event), {})
    return (str(last.get("step", "")), DO), number_of(last, "attempt") or 0
