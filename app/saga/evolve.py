"""What an event makes of a state. Folding all events of a saga gives its state, without asking anybody anything."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from app.saga.definition import Saga
from app.saga.events import (
    CompensationFailed,
    CompensationRequested,
    Event,
    GotStuck,
    Started,
    StepFailed,
    StepRequested,
    StepSucceeded,
    WentBack,
)
from app.saga.facts import fact
from app.saga.state import (
    Compensating,
    CompensationPausing,
    Completed,
    Facts,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
    Why,
)


class BrokenHistory(ValueError):
    """An event that cannot follow the state it was folded into: the log is not one that decide wrote."""


@fact
class _Fold:
    saga: Saga
    state: Any  # which of the states is checked where it matters: the events of one log can't come in another order


def evolve(saga: Saga, state: State, event: Event) -> State:
    """The state after an event. Raises BrokenHistory when the event can't follow this state, or is none."""
    try:
        apply = _APPLY[event["type"]]
        return state if apply is None else apply(_Fold(saga, state), event)
    except (KeyError, AttributeError, TypeError) as error:
        raise BrokenHistory(f"{event.get('type')} cannot follow {type(state).__name__}: {error}") from error


def advance(saga: Saga, progress: Progress, events: Iterable[Event]) -> Progress:
    """The progress after one more decision, made of these events."""
    state = progress.state
    for event in events:
        state = evolve(saga, state, event)
    return Progress(progress.seq + 1, state)


def _started(fold: _Fold, event: Started) -> State:
    if not isinstance(fold.state, NotStarted):
        raise AttributeError("it has started already")
    kept = {name: value for name, value in event["order"].items() if name != "order_id"}
    return Running(Facts(fold.saga.version, event["digest"], kept, {}), fold.saga.steps[0].name, 0, 0)


def _requested(fold: _Fold, event: StepRequested) -> State:
    return Running(fold.state.facts, event["step"], event["attempt"], event["due_ms"])


def _succeeded(fold: _Fold, event: StepSucceeded) -> State:
    facts, step = fold.state.facts, fold.saga.step(event["step"])
    needed = fold.saga.needed_after[step.name]
    order = {name: value for name, value in facts.order.items() if name in needed}
    results = {**facts.results, step.result: event["result"]}
    return Running(Facts(facts.version, facts.digest, order, results), step.name, event["attempt"], fold.state.due_ms)


def _failed(fold: _Fold, event: StepFailed) -> State:
    if "retry_due_ms" not in event:
        return cast("State", fold.state)
    return Pausing(fold.state.facts, event["step"], event["attempt"], event["retry_due_ms"])


def _undo_requested(fold: _Fold, event: CompensationRequested) -> State:
    state, step, attempt = fold.state, event["step"], event["attempt"]
    why = Why(**event["because"]) if "because" in event else state.why
    again = isinstance(state, Compensating | CompensationPausing) and state.step == step
    return Compensating(state.facts, why, step, attempt, state.first_attempt if again else attempt, event["due_ms"])


def _undo_failed(fold: _Fold, event: CompensationFailed) -> State:
    state = fold.state
    if "retry_due_ms" not in event:
        return cast("State", state)
    return CompensationPausing(
        state.facts, state.why, event["step"], event["attempt"], state.first_attempt, event["retry_due_ms"]
    )


def _stuck(fold: _Fold, event: GotStuck) -> State:
    return Stuck(fold.state.facts, fold.state.why, event["step"], event["attempt"])


def _completed(fold: _Fold, event: Event) -> State:
    facts = fold.state.facts
    return Completed(Facts(facts.version, facts.digest, {}, facts.results))


def _rolled_back(fold: _Fold, event: WentBack) -> State:
    facts = fold.state.facts
    return RolledBack(
        Facts(facts.version, facts.digest, {}, {}), Why(event["reason"], event["step"], event["requested"])
    )


_APPLY: dict[str, Callable[[_Fold, Any], State] | None] = {
    "saga.started": _started,
    "saga.step.requested": _requested,
    "saga.step.succeeded": _succeeded,
    "saga.step.refused": None,  # the events after it, in the same decision, say where the saga goes
    "saga.step.failed": _failed,
    "saga.step.timed_out": None,
    "saga.compensation.requested": _undo_requested,
    "saga.compensation.succeeded": None,
    "saga.compensation.failed": _undo_failed,
    "saga.compensation.timed_out": None,
    "saga.cancel.requested": None,
    "saga.cancel.refused": None,
    "saga.operated": None,
    "saga.operation.refused": None,
    "saga.reply.ignored": None,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
EVENT_TYPES = tuple(_APPLY)
