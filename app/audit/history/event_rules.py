"""The effect of each event type on a replayed saga, and what must have happened before it."""

from collections.abc import Callable
from typing import Any

from app.audit.history import operator_rules
from app.audit.history.replayed_saga import EffectAttempts, Phase, ReplayedSaga, StepStatus, number_of, text_of
from app.audit.history.rollback_rules import expect_phase, roll_back
from app.audit.recording.records import Decision, Object
from app.audit.recording.timer_causes import BACKOFF, DEADLINE, DIRECTION
from app.audit.spec import DO

Rule = Callable[[ReplayedSaga, Decision, Any], None]


def _started(replayed: ReplayedSaga, _: Decision, event: Object) -> None:
    replayed.phase = Phase.RUNNING
    replayed.deadline_ms = number_of(event, "deadline_ms")


def _step_requested(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.RUNNING)
    name = event["step"]
    step, missing = replayed.steps[name], replayed.missing(name)
    if missing:
        replayed.violation("INV-4", decision, f"{name} was requested before {', '.join(missing)} was done")
    _request(replayed, decision, event, step.do, replied=step.settled_as != "")


def _undo_requested(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.COMPENSATING)
    replayed.phase = Phase.COMPENSATING
    name = event["step"]
    step, later = replayed.steps[name], replayed.later(name)
    if replayed.version.by_name[name].undo is None:
        replayed.violation("INV-8", decision, f"the undo of {name} was requested, but {name} can't be undone")
    elif not step.is_in_effect:
        replayed.violation("INV-8", decision, f"the undo of {name} was requested, but {name} is not in effect")
    if later:
        replayed.violation("INV-8", decision, f"{name} is undone before {', '.join(later)}, which needed it")
    _request(replayed, decision, event, step.undo, replied=step.undone)


def _request(
    replayed: ReplayedSaga, decision: Decision, event: Object, attempts: EffectAttempts, *, replied: bool
) -> None:
    """An effect is requested once; again after a failure, a timeout or a backoff, or after an operator's retry."""
    step, direction, attempt = event["step"], DIRECTION[event["type"]], event.get("attempt")
    backoff = decision.timer and decision.timer.kind == BACKOFF and decision.timer.effect == (step, direction)
    subject = _subject(event)
    if replied or attempts.status is not (StepStatus.BACKING_OFF if backoff else StepStatus.QUEUED):
        status = "settled" if replied else attempts.status.value
        replayed.violation("INV-4", decision, f"{subject} was requested although it was {status}")
    if attempt != attempts.count + 1:
        text = f"attempt {attempt} of {subject} was requested after attempt {attempts.count}"
        replayed.violation("INV-4", decision, text)
    attempts.count, attempts.status = attempts.count + 1, StepStatus.IN_FLIGHT
    attempts.due_ms = number_of(event, "due_ms")
    replayed.expect_command((step, direction), attempts.count, decision)


def _subject(event: Object) -> str:
    """The effect of an event, as violations name it."""
    return f"the undo of {event['step']}" if event["type"].startswith("saga.compensation.") else str(event["step"])


def _replied(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    name, verb = event["step"], event["type"].rpartition(".")[2]
    step = replayed.steps[name]
    if step.settled_as:
        replayed.violation("INV-7", decision, f"{name} {verb}, but it was already settled as {step.settled_as}")
        return
    if not step.do.count or replayed.phase is not Phase.RUNNING:
        early = "before it was requested" if not step.do.count else f"when the saga was {replayed.phase.value}"
        replayed.violation("INV-4", decision, f"{name} {verb} {early}")
    step.settled_as, step.result = verb, text_of(event, "result")
    if verb == "refused":
        roll_back(replayed, decision, event, reason=event.get("reason"), step=name)


def _step_failed(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.RUNNING)
    name = event["step"]
    step = replayed.steps[name]
    if step.settled_as:
        replayed.violation("INV-7", decision, f"{name} failed, but it was already settled as {step.settled_as}")
    _fail(replayed, decision, event, step.do)
    if "because" in event:
        roll_back(replayed, decision, event, reason=event.get("reason"), step=name)


def _undo_failed(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.COMPENSATING)
    step = replayed.steps[event["step"]]
    if step.undone:
        replayed.violation("INV-7", decision, f"the undo of {event['step']} failed after it had succeeded")
    _fail(replayed, decision, event, step.undo)


def _fail(replayed: ReplayedSaga, decision: Decision, event: Object, attempts: EffectAttempts) -> None:
    subject = _subject(event)
    if not attempts.count or attempts.status is StepStatus.STUCK:
        replayed.violation("INV-4", decision, f"{subject} failed, but no reply to it was awaited")
    retryable = event.get("retryable") is True
    attempts.failed_in, attempts.failure = decision, text_of(event, "reason")
    attempts.due_ms = number_of(event, "retry_due_ms")
    attempts.status = StepStatus.QUEUED if retryable else StepStatus.FAILED
    if attempts.due_ms is not None:
        attempts.status = StepStatus.BACKING_OFF
        if not retryable:
            replayed.violation("INV-4", decision, f"{subject} failed for good, but a retry is scheduled")


def _step_timed_out(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.RUNNING)
    _time_out(replayed, decision, event, replayed.steps[event["step"]].do)
    if "because" in event:
        roll_back(replayed, decision, event, step=event["step"])


def _undo_timed_out(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.COMPENSATING)
    _time_out(replayed, decision, event, replayed.steps[event["step"]].undo)


def _time_out(replayed: ReplayedSaga, decision: Decision, event: Object, attempts: EffectAttempts) -> None:
    timer, was_due = decision.timer, event["step"] in replayed.active
    if timer is None or timer.kind != DEADLINE:
        expected = (StepStatus.IN_FLIGHT, timer.due_ms if timer else None)
        was_due = was_due and timer is not None and (attempts.status, attempts.due_ms) == expected
    if not was_due:
        replayed.violation("INV-4", decision, f"{_subject(event)} timed out, but no reply to it was due")
    if event.get("attempt") != attempts.count:
        text = f"attempt {event.get('attempt')} of {_subject(event)} timed out, but the last one is {attempts.count}"
        replayed.violation("INV-4", decision, text)
    attempts.status, attempts.due_ms, attempts.failed_in, attempts.failure = StepStatus.QUEUED, None, decision, None


def _undone(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    step = replayed.steps[event["step"]]
    expect_phase(replayed, decision, event, Phase.COMPENSATING)
    if step.undone:
        replayed.violation("INV-7", decision, f"the undo of {event['step']} succeeded a second time")
    elif not step.undo.count:
        replayed.violation("INV-4", decision, f"the undo of {event['step']} succeeded, but was never requested")
    step.undone = True


def _stuck(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    """Only an effect that can't be given up gets stuck: an undo, or a step without an undo."""
    expect_phase(replayed, decision, event, Phase.RUNNING, Phase.COMPENSATING)
    name, direction = event["step"], replayed.direction
    attempts = replayed.steps[name].attempts_of(direction)
    if attempts.failed_in is not decision or attempts.status not in (StepStatus.FAILED, StepStatus.QUEUED):
        subject = name if direction == DO else f"the undo of {name}"
        replayed.violation("INV-4", decision, f"{subject} is stuck, but it had not failed")
    elif attempts.failure not in (None, event.get("reason")):
        replayed.violation("INV-4", decision, f"{name} is stuck for another reason than that of its failure")
    if direction == DO and replayed.version.by_name[name].undo is not None:
        replayed.violation("INV-4", decision, f"{name} is stuck, but it can be undone")
    attempts.status = StepStatus.STUCK
    replayed.expect_outcome(decision, event, "order.stuck")


def _completed(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.RUNNING)
    open_steps = [name for name, step in replayed.steps.items() if not step.done]
    if open_steps:
        replayed.violation("INV-4", decision, f"the saga completed, but {', '.join(open_steps)} was not done")
    _end(replayed, decision, event, Phase.COMPLETED)
    replayed.expect_outcome(decision, event, "order.completed")


def _rolled_back(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    expect_phase(replayed, decision, event, Phase.COMPENSATING)
    in_effect = [name for name, step in replayed.steps.items() if step.is_in_effect]
    if in_effect:
        replayed.violation("INV-8", decision, f"the saga was rolled back, but {', '.join(in_effect)} was not undone")
    why, given = replayed.because, [event.get(name) for name in ("reason", "step", "requested")]
    if why and given != [why.reason, why.step, why.requested]:
        replayed.violation("INV-4", decision, "the saga was rolled back for another cause than it compensated for")
    _end(replayed, decision, event, Phase.ROLLED_BACK)
    replayed.expect_outcome(decision, event, "order.cancelled" if why and why.requested else "order.rejected")


def _end(replayed: ReplayedSaga, decision: Decision, event: Object, phase: Phase) -> None:
    replayed.phase, replayed.forget_ms = phase, number_of(event, "forget_ms")
    if replayed.forget_ms is None or replayed.forget_ms < (decision.at_ms or 0):
        replayed.violation("INV-4", decision, f"{event['type']} gives no valid end of the saga's retention (forget_ms)")


def _ignored(replayed: ReplayedSaga, _: Decision, __: Object) -> None:
    replayed.ignored_replies += 1


RULES: dict[str, Rule] = {
    "saga.started": _started,
    "saga.step.requested": _step_requested,
    "saga.step.succeeded": _replied,
    "saga.step.refused": _replied,
    "saga.step.failed": _step_failed,
    "saga.step.timed_out": _step_timed_out,
    "saga.compensation.requested": _undo_requested,
    "saga.compensation.succeeded": _undone,
    "saga.compensation.failed": _undo_failed,
    "saga.compensation.timed_out": _undo_timed_out,
    "saga.cancel.requested": operator_rules.cancel_requested,
    "saga.cancel.refused": operator_rules.cancel_refused,
    "saga.operated": operator_rules.operated,
    "saga.operation.refused": operator_rules.operation_refused,
    "saga.reply.ignored": _ignored,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
