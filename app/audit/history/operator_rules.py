"""Cancels and operators' operations: accepted if they are valid in the saga's state, refused if not."""

from typing import Any

from app.audit.history.replayed_saga import Phase, ReplayedSaga, StepStatus
from app.audit.history.rollback_rules import expect_phase, roll_back
from app.audit.recording.records import Decision, Message, Object

_RETRY_OR_SKIP = ("saga.retry", "saga.skip")
_REFUSED, _ACCEPTED = "saga.operation.refused", "saga.operated"


def check_operation(replayed: ReplayedSaga, decision: Decision, operation: Message) -> None:
    """INV-4, before the events apply: a retry targets the stuck step it names, or all; a skip targets exactly one."""
    type = decision.cause_type
    if type not in _RETRY_OR_SKIP:
        return
    named, event = operation.body.get("step"), decision.events[0]
    targets = [step for step in replayed.stuck if named in (None, step)]
    valid = len(targets) == 1 or (len(targets) > 1 and type == "saga.retry")
    if event["type"] == _REFUSED and valid:
        replayed.violation("INV-4", decision, f"{type} was refused, but it was valid")
    elif event["type"] == _ACCEPTED and not valid:
        replayed.violation("INV-4", decision, f"{type} was accepted, but it was not valid")
    elif event["type"] == _ACCEPTED and _sorted_texts(event.get("steps")) != sorted(targets):
        replayed.violation("INV-4", decision, f"{type} targets {', '.join(targets)}, but the event names other steps")


def cancel_requested(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    """The saga compensates because its shop cancelled the order."""
    expect_phase(replayed, decision, event, Phase.RUNNING)
    roll_back(replayed, decision, event, reason=event.get("reason"))


def cancel_refused(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    """Only a saga that can't compensate any more refuses a cancel."""
    if replayed.phase is Phase.RUNNING and replayed.can_compensate:
        replayed.violation("INV-4", decision, "a cancel was refused, but the saga could compensate")
    replayed.expect_outcome(decision, event, "order.cancel.refused")


def operated(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    """An operator retries or skips stuck steps, or has the saga compensate."""
    if decision.cause_type == "saga.compensate":
        _compensate(replayed, decision, event)
    elif not replayed.stuck:
        replayed.violation("INV-4", decision, f"{decision.cause_type} was accepted, but no step was stuck")
    else:
        _retry_or_skip(replayed, decision, event)


def _compensate(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    """A stuck pivot without an undo counts as never done: the operator vouches for it."""
    expect_phase(replayed, decision, event, Phase.RUNNING)
    pivot = replayed.version.pivot
    if pivot is not None and pivot.name in replayed.stuck:
        replayed.steps[pivot.name].undone = replayed.steps[pivot.name].by_operator = True
    roll_back(replayed, decision, event, reason=event.get("reason"))


def _retry_or_skip(replayed: ReplayedSaga, decision: Decision, event: Object) -> None:
    stuck, named = replayed.stuck, _sorted_texts(event.get("steps"))
    if not named or not stuck.keys() >= set(named):
        text = f"{decision.cause_type} names no step, or one that is not stuck; stuck: {', '.join(stuck)}"
        replayed.violation("INV-4", decision, text)
    running = replayed.phase is Phase.RUNNING
    for name, attempts in stuck.items():
        if name not in named:
            continue
        step = replayed.steps[name]
        if decision.cause_type == "saga.retry":
            attempts.status = StepStatus.QUEUED
        elif running:
            step.settled_as, step.by_operator = "skipped", True
        else:
            step.undone = step.by_operator = True


def operation_refused(replayed: ReplayedSaga, decision: Decision, _: Object) -> None:
    """INV-4: a valid compensate must not be refused. A retry or skip needs its message: check_operation judges it."""
    pivot = replayed.version.pivot
    pivot_stuck = pivot is not None and pivot.name in replayed.stuck
    valid = replayed.phase is Phase.RUNNING and (replayed.can_compensate or pivot_stuck)
    if valid and decision.cause_type == "saga.compensate":
        replayed.violation("INV-4", decision, f"{decision.cause_type} was refused, but it was valid")


def _sorted_texts(value: Any) -> list[str]:
    """The items of a list as sorted texts; empty for anything else."""
    return sorted(map(str, value)) if type(value) is list else []
