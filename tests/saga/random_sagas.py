"""Random sagas and whole runs of them. A run follows intents, each of which fits into every state."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import orjson

from app.saga.decide import decide
from app.saga.definition import Command, Kind, Retry, Saga, Step
from app.saga.events import Event
from app.saga.message_ids import Direction, command_id
from app.saga.messages import (
    Cancel,
    CapacityAvailable,
    Compensate,
    Failed,
    Input,
    Place,
    Refused,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.messages import Retry as TryAgain
from app.saga.outputs import Output, outputs_of
from app.saga.state import NO_SAGA, ActiveStep, Progress, Running, State, due_ms
from app.saga.transition import Admits
from app.saga.verdict import Decision, Expired, Verdict
from app.wire import state_codec
from tests.saga.order_messages import CONTENT, ID

T = TypeVar("T")

FIELDS = ("customer_id", "lines", "total")

# sagas


class StepPlan(NamedTuple):
    """A step: attempts to do and to undo it, its predecessors (None: the step before it), and its time-out (ms)."""

    do_attempts: int = 2
    undo_attempts: int = 2
    after: tuple[int, ...] | None = None
    timeout_ms: int = 30_000


def saga_of(
    plans: Iterable[StepPlan | tuple[int, int]],
    pivot: int | None = None,
    *,
    pivot_undone: bool = False,
    deadline_ms: int | None = None,
) -> Saga:
    """A saga with a step per plan; with a pivot, the steps behind it come after it, the steps before it come before."""
    complete = [StepPlan(*plan) for plan in plans]
    steps = tuple(_step(index, complete, pivot, pivot_undone=pivot_undone) for index in range(len(complete)))
    return Saga("any", 1, steps, deadline_ms)


class Choose(Protocol):
    """Chooses one of several things."""

    def __call__(self, choices: Sequence[T], /) -> T:
        """The chosen one."""


def random_saga(choose: Choose) -> Saga:
    """One to five steps in any possible order, with or without a pivot and a deadline."""
    count = choose(range(1, 6))
    plans = [
        StepPlan(
            choose((1, 2, 3)),
            choose((1, 2, 3)),
            choose(_possible_predecessors(index)),
            choose((30_000, 30_000, 45_000)),
        )
        for index in range(count)
    ]
    pivot, undone = choose((None, *range(count))), choose((False, False, True))
    return saga_of(plans, pivot, pivot_undone=undone, deadline_ms=choose((None, 30_000, 75_000)))


def _possible_predecessors(index: int) -> list[tuple[int, ...] | None]:
    before = range(index)
    return [None, None, *(some for size in range(min(index, 3) + 1) for some in combinations(before, size))]


def _step(index: int, plans: list[StepPlan], pivot: int | None, *, pivot_undone: bool) -> Step:
    name, plan = f"s{index}", plans[index]
    kind: Kind = "compensatable" if pivot is None or index < pivot else "pivot" if index == pivot else "retriable"
    after = _after(index, plan, pivot)
    earlier = tuple(f"r{before}" for before in after or ())
    needed = FIELDS[index % 3 :]
    undone = kind == "compensatable" or (kind == "pivot" and pivot_undone)
    undo_retry = Retry(plan.undo_attempts, 7, 50)
    return Step(
        name,
        Command(f"{name}.do", needed[:2], earlier[-1:], plan.timeout_ms, Retry(plan.do_attempts, 1, 100)),
        f"{name}.yes",
        f"{name}.failed",
        f"r{index}",
        Command(f"{name}.undo", needed[:1], (*earlier[:1], f"r{index}"), 20_000, undo_retry) if undone else None,
        f"{name}.undone" if undone else None,
        None if kind == "retriable" else f"{name}.no",
        kind,
        None if after is None else tuple(f"s{before}" for before in after),
    )


def _after(index: int, plan: StepPlan, pivot: int | None) -> tuple[int, ...] | None:
    if pivot is None or index < pivot or plan.after is None:
        return tuple(range(index)) if index == pivot else plan.after
    if index == pivot:
        return tuple(range(index))
    return tuple(before for before in plan.after if before > pivot) or (pivot,)


# runs

IntentKind = Literal[
    "answer", "wait", "fail", "capacity", "fail for good", "refuse", "succeed", "undo", "cancel", "retry", "skip",
    "compensate", "place", "place another", "another time", "retry one", "skip one",
]  # fmt: skip
Target = Literal["awaited", "earlier attempt", "unsent attempt", "other step", "other direction", "other order"]


class Intent(NamedTuple):
    """The kind of input, the command that a reply answers, the active step that is meant, the time before it (ms), and
    the capacity: bit sets of steps for `try_acquire` and `keeps_slot`.
    """

    kind: IntentKind
    target: Target = "awaited"
    active: int = 0
    pause_ms: int = 0
    capacity: tuple[int, int] = (-1, -1)


_KINDS: tuple[IntentKind, ...] = (
    *("answer",) * 9,
    *("wait",) * 5,
    *("fail",) * 6,
    *("capacity",) * 3,
    "refuse",
    "skip",
    *get_args(IntentKind),
)
_TARGETS: tuple[Target, ...] = (*("awaited",) * 14, *get_args(Target))
_PAUSES_MS = (0, 1, 1_000, 0, 90_000, -5_000)
_CAPACITIES = ((-1, -1), (-1, -1), (-1, -1), (-1, 0), (0, -1), (0, 0), (0b0101, 0b1010), (0b1010, 0b1010))
"""Bit sets of steps: those with capacity for a command, and those that keep their slot after a failure."""
PLACE_ORDER = Intent("place")


def intent(number: int) -> Intent:
    """The intent that a number of three bytes stands for."""
    chosen: list[Any] = []
    for choices in (_KINDS, _TARGETS, range(4), _PAUSES_MS, _CAPACITIES):
        number, at = divmod(number, len(choices))
        chosen.append(choices[at])
    return Intent(*chosen)


@dataclass(frozen=True)
class Moment:
    """One input to a saga at a time (ms since 1970), with the progress before it, the capacity, and the verdict."""

    before: Progress
    given: Input
    at: int
    capacity: tuple[int, int]
    verdict: Verdict
    sent: list[Output]

    @property
    def events(self) -> list[Event]:
        """The events of the decision; none if there is no decision."""
        return self.verdict.events if isinstance(self.verdict, Decision) else []

    @property
    def after(self) -> Progress:
        """The progress after it."""
        if isinstance(self.verdict, Expired):
            return NO_SAGA
        return self.verdict.progress if isinstance(self.verdict, Decision) else self.before


def run_saga(saga: Saga, intents: Iterable[Intent]) -> list[Moment]:
    """The run of a saga that follows these intents, until it expires."""
    progress, at, run = NO_SAGA, 1_000_000, []
    for intent in intents:
        at += intent.pause_ms
        given = _input(saga, progress.state, intent)
        if intent.kind == "wait" and intent.pause_ms >= 0:
            at = max(at, due_ms(progress.state) or 0)
        run.append(handle(saga, progress, given, at, intent.capacity))
        progress = run[-1].after
        if isinstance(run[-1].verdict, Expired):
            break
    return run


def handle(saga: Saga, progress: Progress, given: Input, at: int, capacity: tuple[int, int] = (-1, -1)) -> Moment:
    """One input of a run."""
    try_acquire, keeps_slot = (_admits(saga, bits) for bits in capacity)
    verdict = decide(saga, ID, progress, given, at, try_acquire, keeps_slot)
    sent = outputs_of(saga, ID, verdict) if isinstance(verdict, Decision) else []
    return Moment(progress, given, at, capacity, verdict, sent)


def trace(run: Iterable[Moment]) -> bytes:
    """Everything that a run led to, as bytes to compare."""
    return b"\n".join(_bytes(moment) for moment in run)


def random_runs(
    count: int, seed: int, saga_by: Callable[[Choose], Saga] = random_saga
) -> Iterator[tuple[Saga, list[Moment]]]:
    """`count` random sagas, made by `saga_by`, with a run each; the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        saga = saga_by(chance.choice)
        yield saga, run_saga(saga, [PLACE_ORDER, *(intent(chance.getrandbits(24)) for _ in range(30))])


def _bytes(moment: Moment) -> bytes:
    state = b"" if moment.after == NO_SAGA else state_codec.encode(moment.after)
    sent: list[Any] = [[type(output).__name__, output] for output in moment.sent]
    return orjson.dumps([type(moment.verdict).__name__, moment.events, sent]) + state


def _admits(saga: Saga, bits: int) -> Admits:
    return lambda step: bool(bits >> saga.step_index[step] & 1)


def _input(saga: Saga, state: State, intent: Intent) -> Input:
    if intent.kind in ("answer", "succeed", "undo", "refuse", "fail", "fail for good"):
        return _reply(saga, state, intent)
    match intent.kind:
        case "place" | "place another":
            return Place("m", CONTENT, intent.kind)
        case "wait" | "another time":
            return TimerDue((due_ms(state) or 0) + (intent.kind == "another time"))
        case "capacity":
            return CapacityAvailable(_meant_step(saga, state, intent)[0].name)
        case "cancel":
            return Cancel("m", "cancelled")
        case "retry":
            return TryAgain("m", "olga", "again")
        case "skip":
            return Skip("m", "olga", "by hand")
        case "retry one":
            return TryAgain("m", "olga", "again", _meant_step(saga, state, intent)[0].name)
        case "skip one":
            return Skip("m", "olga", "by hand", _meant_step(saga, state, intent)[0].name)
        case _:
            return Compensate("m", "olga", "fraud")


def _reply(saga: Saga, state: State, intent: Intent) -> Input:
    direction: Direction = "do" if isinstance(state, Running) else "undo"
    step, attempt = _meant_step(saga, state, intent)
    kind = ("succeed" if direction == "do" else "undo") if intent.kind == "answer" else intent.kind
    if intent.target == "other direction":
        direction = "undo" if direction == "do" else "do"
    attempt += {"earlier attempt": -1, "unsent attempt": 1}.get(intent.target, 0)
    return reply(kind, step, command_id("o-2" if intent.target == "other order" else ID, step.name, direction, attempt))


def _meant_step(saga: Saga, state: State, intent: Intent) -> tuple[Step, int]:
    """The step that an intent means, and its last attempt."""
    active_steps: tuple[ActiveStep, ...] = getattr(state, "active_steps", ())
    if not active_steps or intent.target == "other step":
        return saga.steps[intent.active % len(saga.steps)], 1
    active = active_steps[intent.active % len(active_steps)]
    return saga.step(active.step), active.attempt


def reply(kind: str, step: Step, command: str) -> Input:
    """A participant's reply to a command, whether it makes sense or not."""
    match kind:
        case "succeed":
            return Succeeded("m", step.succeeded, step.name, command, f"result of {command}")
        case "undo":
            return Undone("m", step.undone or "undone", step.name, command)
        case "refuse":
            return Refused("m", step.refused or "refused", step.name, command, "refused")
        case _:
            return Failed("m", step.failed, step.name, command, kind, retryable=kind == "fail")
