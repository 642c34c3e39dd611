"""Applies events to states. Folding all decisions of a saga gives its state: their events, and their causes' ids."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from app.saga.definition import Saga, Step
from app.saga.events import (
    Because,
    CompensationFailed,
    CompensationRequested,
    CompensationSucceeded,
    CompensationTimedOut,
    Event,
    Finished,
    GotStuck,
    Operated,
    Started,
    StepFailed,
    StepRefused,
    StepRequested,
    StepSucceeded,
    StepTimedOut,
    WentBack,
)
from app.saga.messages import Trace
from app.saga.state import (
    ACTIVE_STATES,
    ActiveStep,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Progress,
    Queued,
    RolledBack,
    Running,
    SagaData,
    State,
    Stuck,
    Why,
    active_step,
)


class BrokenHistory(ValueError):
    """An event can't follow the state that it was folded into: decide did not write this log."""


def evolve(saga: Saga, state: State, event: Event) -> State:
    """The state after an event. Raises BrokenHistory if the event has an unknown type, or can't follow this state."""
    try:
        apply = _APPLY[event["type"]]
        return state if apply is None else apply(saga, state, event)
    except (KeyError, AttributeError, TypeError) as error:
        raise BrokenHistory(f"{event.get('type')} cannot follow {type(state).__name__}: {error}") from error


def fold(saga: Saga, progress: Progress, events: Iterable[Event], cause: str | None = None) -> Progress:
    """The progress after one decision with these events; `cause` is the id of the message that led to it, if any."""
    state = progress.state
    for event in events:
        state = evolve(saga, state, event)
    return Progress(progress.seq + 1, with_cause(progress.state, state, cause))


def with_cause(before: State, after: State, cause: str | None) -> State:
    """The state after a decision: each step that the decision queued keeps the id of the message that led to it."""
    if cause is None or not isinstance(after, ACTIVE_STATES):
        return after
    queued_before = before.active_steps if isinstance(before, ACTIVE_STATES) else ()
    state: State = after
    for active in after.active_steps:
        if type(active) is Queued and active not in queued_before:
            state = _with_active(state, Queued(active.step, active.attempt, active.first, cause))
    return state


# The functions below check their starting state only where it matters: the events of a log can't change their order.


def _active(state: Any, step: str) -> ActiveStep:
    active = active_step(state.active_steps, step)
    if active is None:
        raise KeyError(f"{step} is not active")
    return active


def _replaced(state: Any, active: ActiveStep) -> tuple[ActiveStep, ...]:
    """The active steps, with `active` in place of the entry for its step."""
    active_steps = state.active_steps
    return (
        (active,)
        if len(active_steps) == 1
        else tuple(active if other.step == active.step else other for other in active_steps)
    )


def _with_active(state: Any, active: ActiveStep) -> State:
    """The same state, with `active` in place of the entry for its step."""
    if type(state) is Running:
        return Running(state.data, state.deadline_ms, _replaced(state, active))
    return Compensating(state.data, state.why, _replaced(state, active), state.left)


def _started(saga: Saga, state: Any, event: Started) -> State:
    if type(state) is not NotStarted:
        raise AttributeError("it has started already")
    order = {name: value for name, value in event["order"].items() if name != "order_id"}
    trace = Trace(event["trace"], event.get("tracestate", "")) if "trace" in event else None
    data = SagaData(saga.name, saga.version, event["digest"], event["at_ms"], order, {}, trace)
    return Running(data, event.get("deadline_ms"), _queued(step.name for step in saga.roots))


def _queued(steps: Iterable[str]) -> tuple[ActiveStep, ...]:
    return tuple([Queued(step, 0, 1) for step in steps])


def _requested(saga: Saga, state: Any, event: StepRequested) -> State:
    step = event["step"]
    in_flight = InFlight(step, event["attempt"], _active(state, step).first, event["at_ms"], event["due_ms"])
    # Once a step without an undo is in flight, the saga can't roll back without an operator: the deadline is off.
    deadline = state.deadline_ms if saga.undoable[step] else None
    return Running(state.data, deadline, _replaced(state, in_flight))


def _undo_requested(_: Saga, state: Any, event: CompensationRequested) -> State:
    step = event["step"]
    return _with_active(
        state, InFlight(step, event["attempt"], _active(state, step).first, event["at_ms"], event["due_ms"])
    )


def _succeeded(saga: Saga, state: Any, event: StepSucceeded) -> State:
    step = saga.step(_active(state, event["step"]).step)
    return _step_done(saga, state, step, {**state.data.results, step.result: event["result"]})


def _step_done(saga: Saga, state: Any, step: Step, results: Mapping[str, str]) -> State:
    data, needed = state.data, saga.needed_after[step.name]
    order = {name: value for name, value in data.order.items() if name in needed}
    new_data = SagaData(data.saga, data.version, data.digest, data.started_ms, order, results, data.trace)
    active_steps = tuple([active for active in state.active_steps if active.step != step.name])
    following: Iterable[str] = saga.next_after[step.name]
    if active_steps:
        unfinished = {active.step for active in active_steps}
        following = [name for name in following if not saga.earlier[name] & unfinished]
    return Running(
        new_data, state.deadline_ms if step.kind == "compensatable" else None, active_steps + _queued(following)
    )


def _refused(saga: Saga, state: Any, event: StepRefused) -> State:
    _active(state, event["step"])
    return _roll_back(saga, state, event["because"], refused=event["step"])


def _failed(saga: Saga, state: Any, event: StepFailed) -> State:
    if "because" in event:
        return _roll_back(saga, state, event["because"])
    return _retry_later(saga, state, event)


def _retry_later(_: Saga, state: Any, event: StepFailed | CompensationFailed) -> State:
    active, due_ms = _active(state, event["step"]), event.get("retry_due_ms")
    if due_ms is None:
        return _with_active(state, Queued(active.step, active.attempt, active.first))
    return _with_active(state, BackingOff(active.step, active.attempt, active.first, due_ms))


def _timed_out(saga: Saga, state: Any, event: StepTimedOut) -> State:
    return _roll_back(saga, state, event["because"]) if "because" in event else _requeued(saga, state, event)


def _requeued(_: Saga, state: Any, event: StepTimedOut | CompensationTimedOut) -> State:
    active = _active(state, event["step"])
    return _with_active(state, Queued(active.step, active.attempt, active.first))


def _rollback_requested(saga: Saga, state: Any, event: Any) -> State:
    return _roll_back(saga, state, event["because"])


def _roll_back(saga: Saga, state: Any, because: Because, refused: str | None = None) -> State:
    """Undoes every step that is done or was sent, last ones first."""
    requested = {active.step for active in state.active_steps if active.attempt and active.step != refused}
    not_done = {active.step for active in state.active_steps}.union(
        *(saga.later[active.step] for active in state.active_steps)
    )
    undo = {
        step.name
        for step in saga.steps
        if step.undo is not None and (step.name in requested or step.name not in not_done)
    }
    first = saga.last_of(undo)
    left = tuple(step.name for step in saga.steps if step.name in undo and step.name not in first)
    return Compensating(state.data, Why(**because), _queued(first), left)


def _undo_succeeded(saga: Saga, state: Any, event: CompensationSucceeded) -> State:
    _active(state, event["step"])
    return _step_undone(saga, state, event["step"])


def _step_undone(saga: Saga, state: Any, step: str) -> State:
    active_steps = tuple(active for active in state.active_steps if active.step != step)
    not_undone = {active.step for active in active_steps}.union(state.left)
    ready = tuple(name for name in state.left if not saga.later[name] & not_undone)
    left = tuple(name for name in state.left if name not in ready)
    return Compensating(state.data, state.why, active_steps + _queued(ready), left)


def _stuck(_: Saga, state: Any, event: GotStuck) -> State:
    active = _active(state, event["step"])
    return _with_active(state, Stuck(active.step, active.attempt, active.first, event["at_ms"], event["reason"]))


def _operated(saga: Saga, state: Any, event: Operated) -> State:
    if "because" in event:
        return _roll_back(saga, state, event["because"])
    for name in event["steps"]:
        state = _retried_or_skipped(saga, state, name, again=event["operation"] == "saga.retry")
    return cast("State", state)


def _retried_or_skipped(saga: Saga, state: Any, step: str, *, again: bool) -> State:
    """Queues a stuck step again, with attempts counted anew, or takes it as done by hand."""
    active = _active(state, step)
    if again:
        return _with_active(state, Queued(step, active.attempt, active.attempt + 1))
    if type(state) is Running:
        return _step_done(saga, state, saga.step(step), state.data.results)
    return _step_undone(saga, state, step)


def _completed(_: Saga, state: Any, event: Finished) -> State:
    return Completed(_without_order(state.data, state.data.results), event["forget_ms"])


def _rolled_back(_: Saga, state: Any, event: WentBack) -> State:
    why = Why(event["reason"], event["step"], event["requested"])
    return RolledBack(_without_order(state.data, {}), why, event["forget_ms"])


def _without_order(data: SagaData, results: Mapping[str, str]) -> SagaData:
    return SagaData(data.saga, data.version, data.digest, data.started_ms, {}, results)


_APPLY: dict[str, Callable[[Saga, Any, Any], State] | None] = {
    "saga.started": _started,
    "saga.step.requested": _requested,
    "saga.step.succeeded": _succeeded,
    "saga.step.refused": _refused,
    "saga.step.failed": _failed,
    "saga.step.timed_out": _timed_out,
    "saga.compensation.requested": _undo_requested,
    "saga.compensation.succeeded": _undo_succeeded,
    "saga.compensation.failed": _retry_later,
    "saga.compensation.timed_out": _requeued,
    "saga.cancel.requested": _rollback_requested,
    "saga.cancel.refused": None,
    "saga.operated": _operated,
    "saga.operation.refused": None,
    "saga.reply.ignored": None,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
EVENT_TYPES = tuple(_APPLY)
