"""What an event makes of a state. Folding all events of a saga gives its state, without asking anybody anything."""

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
from app.saga.state import (
    Asked,
    Compensating,
    Completed,
    Facts,
    Leg,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
    Waiting,
    Why,
    leg_of,
)


class BrokenHistory(ValueError):
    """An event that cannot follow the state it was folded into: the log is not one that decide wrote."""


def evolve(saga: Saga, state: State, event: Event) -> State:
    """The state after an event. Raises BrokenHistory when the event can't follow this state, or is none."""
    try:
        apply = _APPLY[event["type"]]
        return state if apply is None else apply(saga, state, event)
    except (KeyError, AttributeError, TypeError) as error:
        raise BrokenHistory(f"{event.get('type')} cannot follow {type(state).__name__}: {error}") from error


def advance(saga: Saga, progress: Progress, events: Iterable[Event]) -> Progress:
    """The progress after one more decision, made of these events."""
    state = progress.state
    for event in events:
        state = evolve(saga, state, event)
    return Progress(progress.seq + 1, state)


# Which of the states a move begins from is checked where it matters: the events of one log can't come in another order.


def _leg(state: Any, step: str) -> Leg:
    leg = leg_of(state.legs, step)
    if leg is None:
        raise KeyError(f"{step} is not under way")
    return leg


def _put(state: Any, leg: Leg) -> tuple[Leg, ...]:
    """The steps under way, with this one where it is now."""
    legs = state.legs
    return (leg,) if len(legs) == 1 else tuple(leg if other.step == leg.step else other for other in legs)


def _with(state: Any, leg: Leg) -> State:
    """The same state, with this step where it is now."""
    if type(state) is Running:
        return Running(state.facts, state.deadline_ms, _put(state, leg))
    return Compensating(state.facts, state.why, _put(state, leg), state.left)


def _started(saga: Saga, state: Any, event: Started) -> State:
    if type(state) is not NotStarted:
        raise AttributeError("it has started already")
    kept = {name: value for name, value in event["order"].items() if name != "order_id"}
    facts = Facts(saga.name, saga.version, event["digest"], event["at_ms"], kept, {})
    return Running(facts, event.get("deadline_ms"), _begin(step.name for step in saga.roots))


def _begin(steps: Iterable[str]) -> tuple[Leg, ...]:
    return tuple([Waiting(step, 0, 1) for step in steps])


def _asked(saga: Saga, state: Any, event: StepRequested) -> State:
    step = event["step"]
    asked = Asked(step, event["attempt"], _leg(state, step).first, event["at_ms"], event["due_ms"])
    # once what can't be undone is under way, there is no way back that needs no person
    deadline = state.deadline_ms if saga.undoable[step] else None
    return Running(state.facts, deadline, _put(state, asked))


def _asked_to_undo(_: Saga, state: Any, event: CompensationRequested) -> State:
    step = event["step"]
    return _with(state, Asked(step, event["attempt"], _leg(state, step).first, event["at_ms"], event["due_ms"]))


def _succeeded(saga: Saga, state: Any, event: StepSucceeded) -> State:
    step = saga.step(_leg(state, event["step"]).step)
    return _done(saga, state, step, {**state.facts.results, step.result: event["result"]})


def _done(saga: Saga, state: Any, step: Step, results: Mapping[str, str]) -> State:
    facts, needed = state.facts, saga.needed_after[step.name]
    order = {name: value for name, value in facts.order.items() if name in needed}
    kept = Facts(facts.saga, facts.version, facts.digest, facts.started_ms, order, results)
    legs = tuple([leg for leg in state.legs if leg.step != step.name])
    following: Iterable[str] = saga.next_after[step.name]
    if legs:
        busy = {leg.step for leg in legs}
        following = [name for name in following if not saga.earlier[name] & busy]
    return Running(kept, state.deadline_ms if step.kind == "compensatable" else None, legs + _begin(following))


def _refused(saga: Saga, state: Any, event: StepRefused) -> State:
    _leg(state, event["step"])
    return _back(saga, state, event["because"], without=event["step"])


def _failed(saga: Saga, state: Any, event: StepFailed) -> State:
    if "because" in event:
        return _back(saga, state, event["because"])
    return _paused(saga, state, event)


def _paused(_: Saga, state: Any, event: StepFailed | CompensationFailed) -> State:
    leg, due_ms = _leg(state, event["step"]), event.get("retry_due_ms")
    if due_ms is None:
        return _with(state, Waiting(leg.step, leg.attempt, leg.first))
    return _with(state, Pausing(leg.step, leg.attempt, leg.first, due_ms))


def _timed_out(saga: Saga, state: Any, event: StepTimedOut) -> State:
    return _back(saga, state, event["because"]) if "because" in event else _waits(saga, state, event)


def _waits(_: Saga, state: Any, event: StepTimedOut | CompensationTimedOut) -> State:
    leg = _leg(state, event["step"])
    return _with(state, Waiting(leg.step, leg.attempt, leg.first))


def _turned(saga: Saga, state: Any, event: Any) -> State:
    return _back(saga, state, event["because"])


def _back(saga: Saga, state: Any, because: Because, without: str | None = None) -> State:
    """All that is done or may have happened is to be undone, what came last first."""
    asked = {leg.step for leg in state.legs if leg.attempt and leg.step != without}
    open_or_after = {leg.step for leg in state.legs}.union(*(saga.later[leg.step] for leg in state.legs))
    undo = {
        step.name
        for step in saga.steps
        if step.undo is not None and (step.name in asked or step.name not in open_or_after)
    }
    first = saga.last_of(undo)
    left = tuple(step.name for step in saga.steps if step.name in undo and step.name not in first)
    return Compensating(state.facts, Why(**because), _begin(first), left)


def _undone(saga: Saga, state: Any, event: CompensationSucceeded) -> State:
    _leg(state, event["step"])
    return _gone(saga, state, event["step"])


def _gone(saga: Saga, state: Any, step: str) -> State:
    legs = tuple(leg for leg in state.legs if leg.step != step)
    still = {leg.step for leg in legs}.union(state.left)
    begun = tuple(name for name in state.left if not saga.later[name] & still)
    left = tuple(name for name in state.left if name not in begun)
    return Compensating(state.facts, state.why, legs + _begin(begun), left)


def _stuck(_: Saga, state: Any, event: GotStuck) -> State:
    leg = _leg(state, event["step"])
    return _with(state, Stuck(leg.step, leg.attempt, leg.first, event["at_ms"], event["reason"]))


def _operated(saga: Saga, state: Any, event: Operated) -> State:
    if "because" in event:
        return _back(saga, state, event["because"])
    for name in event["steps"]:
        state = _seen_to(saga, state, name, again=event["operation"] == "saga.retry")
    return cast("State", state)


def _seen_to(saga: Saga, state: Any, step: str, *, again: bool) -> State:
    """A person has a stuck step asked for again, with attempts counted anew, or takes it as done."""
    leg = _leg(state, step)
    if again:
        return _with(state, Waiting(step, leg.attempt, leg.attempt + 1))
    if type(state) is Running:
        return _done(saga, state, saga.step(step), state.facts.results)
    return _gone(saga, state, step)


def _completed(_: Saga, state: Any, event: Finished) -> State:
    return Completed(_remembered(state.facts, state.facts.results), event["forget_ms"])


def _rolled_back(_: Saga, state: Any, event: WentBack) -> State:
    why = Why(event["reason"], event["step"], event["requested"])
    return RolledBack(_remembered(state.facts, {}), why, event["forget_ms"])


def _remembered(facts: Facts, results: Mapping[str, str]) -> Facts:
    return Facts(facts.saga, facts.version, facts.digest, facts.started_ms, {}, results)


_APPLY: dict[str, Callable[[Saga, Any, Any], State] | None] = {
    "saga.started": _started,
    "saga.step.requested": _asked,
    "saga.step.succeeded": _succeeded,
    "saga.step.refused": _refused,
    "saga.step.failed": _failed,
    "saga.step.timed_out": _timed_out,
    "saga.compensation.requested": _asked_to_undo,
    "saga.compensation.succeeded": _undone,
    "saga.compensation.failed": _paused,
    "saga.compensation.timed_out": _waits,
    "saga.cancel.requested": _turned,
    "saga.cancel.refused": None,
    "saga.operated": _operated,
    "saga.operation.refused": None,
    "saga.reply.ignored": None,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
EVENT_TYPES = tuple(_APPLY)
