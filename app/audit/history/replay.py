"""Applies the events of a saga to its state machine, as the contract describes it, and records each violation."""

from collections.abc import Iterable, Mapping

from app.audit.history.event_content import check_event_content
from app.audit.history.event_rules import RULES
from app.audit.history.operator_rules import check_operation
from app.audit.history.replayed_saga import Phase, ReplayedSaga, StepStatus, timed_effect
from app.audit.recording.recording import Coordinates
from app.audit.recording.records import Decision, Message, Object
from app.audit.recording.timer_causes import BACKOFF, CAPACITY, DEADLINE, DIRECTION, FIRST_EVENTS, TIMEOUT, Timer
from app.audit.spec import DO, UNDO, Effect, SagaSpec, VersionSpec, parse_command_id

_IGNORED = "saga.reply.ignored"
_NO_CHANGE = {_IGNORED, "saga.cancel.refused", "saga.operation.refused"}
"""Events that change nothing: each is the only one of its decision. No other event may come after the end."""

_CONSEQUENCES = {
    "saga.step.requested",
    "saga.compensation.requested",
    "saga.completed",
    "saga.rolled_back",
    "saga.stuck",
}
"""Events that follow the first event of a decision. At the deadline, further timeouts follow too."""

_REPLY_EVENTS = {
    "saga.step.succeeded": DO,
    "saga.step.refused": DO,
    "saga.step.failed": DO,
    "saga.compensation.succeeded": UNDO,
    "saga.compensation.failed": UNDO,
}
"""Events that a reply leads to, with the direction of the effect."""

_STEP_EVENTS = {*_REPLY_EVENTS, *DIRECTION, "saga.stuck"}
_REQUEST_EVENTS = {
    "order.place": {"saga.started"},
    "order.cancel": {"saga.cancel.requested", "saga.cancel.refused"},
    "saga.retry": {"saga.operated", "saga.operation.refused"},
    "saga.skip": {"saga.operated", "saga.operation.refused"},
    "saga.compensate": {"saga.operated", "saga.operation.refused"},
}
"""The events that each request of a shop or an operator may lead to first."""

_STATUS_BEFORE = {TIMEOUT: StepStatus.IN_FLIGHT, BACKOFF: StepStatus.BACKING_OFF, CAPACITY: StepStatus.QUEUED}
"""The status that an effect must have when a timer of each kind fires."""


def replay(
    saga_id: str,
    spec: SagaSpec,
    version: VersionSpec,
    decisions: Iterable[Decision],
    inputs: Mapping[Coordinates, Message],
) -> ReplayedSaga:
    """Replays a saga's decisions in order. A decision is not compared with its input if `inputs` lacks that record."""
    replayed, first_events = ReplayedSaga(saga_id, version), _first_events(spec)
    for decision in decisions:
        if not decision.flaw:
            cause = inputs.get(decision.cause) if decision.cause else None
            if decision.timer:
                _check_timer(replayed, decision, decision.timer)
            else:
                _check_first_event(replayed, decision, first_events.get(decision.cause_type, set()))
            if cause is not None:
                _check_reply(replayed, decision, cause, spec)
                check_event_content(replayed, decision, cause)
                check_operation(replayed, decision, cause)
            _apply_decision(replayed, decision)
    return replayed


def _first_events(spec: SagaSpec) -> dict[str, set[str]]:
    """The events that each type of input may lead to first."""
    final = {
        type: {"saga.step.succeeded" if direction == DO else "saga.compensation.succeeded", _IGNORED}
        for type, (_, direction) in spec.effect_of_reply.items()
    }
    refusals = {step.refused: {"saga.step.refused", _IGNORED} for step in spec.steps.values() if step.refused}
    failed = {"saga.step.failed", "saga.compensation.failed", _IGNORED}
    return {**_REQUEST_EVENTS, **final, **refusals, **{step.failed: failed for step in spec.steps.values()}}


def _apply_decision(replayed: ReplayedSaga, decision: Decision) -> None:
    _note_queued_by(replayed, decision)
    for index, event in enumerate(decision.events):
        _apply_event(replayed, decision, event, index)
    timer = decision.timer
    if timer and timer.kind == DEADLINE and replayed.phase is Phase.RUNNING:
        replayed.violation("INV-4", decision, "the deadline passed, but the saga did not compensate")
    replayed.note_queued(decision.cause_id)


def _note_queued_by(replayed: ReplayedSaga, decision: Decision) -> None:
    """What a timer ends may have been queued by a message: then that message led to what the decision sends."""
    if decision.timer is not None:
        attempts = replayed.attempts_of(timed_effect(decision)[0])
        if attempts is not None and attempts.status is StepStatus.QUEUED and attempts.queued_by:
            replayed.queued_by[decision.seq] = attempts.queued_by


def _check_first_event(replayed: ReplayedSaga, decision: Decision, allowed: set[str]) -> None:
    first = decision.events[0]["type"]
    if first not in allowed:
        replayed.violation("INV-4", decision, f"{decision.cause_type} can't lead to {first}")
    if first in _NO_CHANGE and len(decision.events) > 1:
        replayed.violation("INV-4", decision, f"{first} changes nothing, but other events follow it")


def _check_timer(replayed: ReplayedSaga, decision: Decision, timer: Timer) -> None:
    """INV-4, 9 and 20: the timer was due, an event had announced it, and its name fits the event it led to."""
    first = decision.events[0]
    if timer.due_ms is None or decision.at_ms is None or decision.at_ms < timer.due_ms:
        replayed.violation("INV-9", decision, f"timer {timer.name} fired before it was due at {timer.due}")
    if not timer.kind:
        replayed.violation("INV-20", decision, f"the timer name {timer.name} is not valid")
    elif first["type"] not in FIRST_EVENTS[timer.kind]:
        replayed.violation("INV-4", decision, f"timer {timer.name} can't lead to {first['type']}")
    elif timer.kind != DEADLINE:
        _check_attempt_timer(replayed, decision, timer, first)
    elif timer.due_ms != replayed.deadline_ms:
        replayed.violation("INV-9", decision, f"the saga had no deadline at {timer.due}")


def _check_attempt_timer(replayed: ReplayedSaga, decision: Decision, timer: Timer, first: Object) -> None:
    if (first.get("step"), DIRECTION[first["type"]]) != timer.effect:
        text = f"timer {timer.name} led to {first['type']} of {first.get('step')}, which is another effect"
        replayed.violation("INV-20", decision, text)
        return
    attempts = replayed.attempts_of(timer.effect)
    if attempts is None or (attempts.status, attempts.count) != (_STATUS_BEFORE[timer.kind], timer.attempt):
        replayed.violation("INV-4", decision, f"timer {timer.name} fired, but the saga did not wait for it")
    elif timer.kind != CAPACITY and attempts.due_ms != timer.due_ms:
        replayed.violation("INV-9", decision, f"timer {timer.name} was announced for another time than {timer.due}")


def _check_reply(replayed: ReplayedSaga, decision: Decision, reply: Message, spec: SagaSpec) -> None:
    """INV-7 and 20: a reply that counts names a command of its effect, sent before; the first final reply counts."""
    event, named = decision.events[0], parse_command_id(replayed.saga_id, reply.causation)
    direction = _REPLY_EVENTS.get(event["type"])
    if direction is not None:
        attempts = replayed.attempts_of(named[0]) if named else None
        if named is None or attempts is None or named[0] != (event.get("step"), direction):
            text = f"{event['type']} was caused by a reply to {reply.causation}, which is no command of that effect"
            replayed.violation("INV-20", decision, text)
        elif not 1 <= named[1] <= attempts.count:
            replayed.violation("INV-20", decision, f"a reply to {reply.causation} counted before that command was sent")
    elif event["type"] == _IGNORED and named and _must_count(replayed, *named, spec.effect_of_reply.get(reply.type)):
        replayed.violation("INV-7", decision, f"{reply.type} was ignored, but it was the first final reply")


def _must_count(replayed: ReplayedSaga, effect: Effect, attempt: int, replied: Effect | None) -> bool:
    """The reply is the first final one to an effect that the saga waits for."""
    step, attempts = replayed.steps.get(effect[0]), replayed.attempts_of(effect)
    if step is None or attempts is None or not 1 <= attempt <= attempts.count or replied != effect:
        return False
    if effect[1] == DO:
        return replayed.phase is Phase.RUNNING and not step.settled_as
    return replayed.phase is Phase.COMPENSATING and not step.undone


def _apply_event(replayed: ReplayedSaga, decision: Decision, event: Object, index: int) -> None:
    type = event["type"]
    rule = RULES.get(type)
    if rule is None:
        replayed.violation("INV-4", decision, f"{type} is not an event of the contract")
    elif type in _STEP_EVENTS and event.get("step") not in replayed.steps:
        replayed.violation("INV-4", decision, f"{type} names no step of the saga")
    elif index and type not in _CONSEQUENCES and not (decision.timer and type in FIRST_EVENTS[DEADLINE]):
        replayed.violation("INV-4", decision, f"{type} can only be the first event of a decision")
    elif type == "saga.started" and replayed.phase is not Phase.NOT_STARTED:
        replayed.violation("INV-2", decision, "the saga started a second time")
    elif replayed.ended and type not in _NO_CHANGE:
        late_undo = type == "saga.compensation.requested" and replayed.phase is Phase.COMPLETED
        text = f"{type} when the saga was {replayed.phase.value}"
        replayed.violation("INV-8" if late_undo else "INV-4", decision, text)
    elif replayed.phase is Phase.NOT_STARTED and type != "saga.started":
        replayed.violation("INV-4", decision, f"{type} before the saga started")
    else:
        _check_time_and_attempt(replayed, decision, event)
        rule(replayed, decision, event)


def _check_time_and_attempt(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    if event.get("at_ms", decision.at_ms) != decision.at_ms:
        replayed.violation("INV-4", decision, f"{event['type']} has another time than its decision")
    if event["type"] not in _REPLY_EVENTS and event["type"] != "saga.stuck":
        return
    direction = _REPLY_EVENTS.get(event["type"], replayed.direction)
    requested, attempt = replayed.steps[event["step"]].attempts_of(direction).count, event.get("attempt")
    if type(attempt) is not int or not 1 <= attempt <= requested:
        text = f"{event['type']} names attempt {attempt} of {event['step']}, but {requested} were requested"
        replayed.violation("INV-4", decision, text)
