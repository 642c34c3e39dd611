"""What each event does to a saga's journey, and what must have come before it."""

from collections.abc import Callable
from typing import Any

from app.audit import people
from app.audit.journey import Effort, Journey, Phase, Stand, number_of, text_of
from app.audit.messages import Decision, Object
from app.audit.terms import DO
from app.audit.timers import DEADLINE, DIRECTION, PAUSE
from app.audit.turning import expect, turn

Rule = Callable[[Journey, Decision, Any], None]


def _started(journey: Journey, _: Decision, event: Object) -> None:
    journey.phase = Phase.FORWARD
    journey.deadline_ms = number_of(event, "deadline_ms")


def _step_requested(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.FORWARD)
    leg, missing = journey.legs[event["step"]], journey.missing(event["step"])
    if missing:
        journey.wrong("INV-4", decision, f"{event['step']} was asked for before {', '.join(missing)} was done")
    _ask(journey, decision, event, leg.do, answered=leg.answer != "")


def _undo_requested(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.BACKWARD)
    journey.phase = Phase.BACKWARD
    step = event["step"]
    leg, newer = journey.legs[step], journey.newer(step)
    if journey.plan.by_name[step].undo is None:
        journey.wrong("INV-8", decision, f"the undo of {step} was asked for, which can't be undone")
    elif not leg.stands:
        journey.wrong("INV-8", decision, f"the undo of {step} was asked for, of which nothing stands")
    if newer:
        journey.wrong("INV-8", decision, f"{step} is undone before {', '.join(newer)}, which came after it")
    _ask(journey, decision, event, leg.undo, answered=leg.undone)


def _ask(journey: Journey, decision: Decision, event: Object, effort: Effort, *, answered: bool) -> None:
    """Once, and again only after trouble, at the end of the pause if there is one, or on a person's wish."""
    step, direction, attempt = event["step"], DIRECTION[event["type"]], event.get("attempt")
    pause = decision.timer and decision.timer.kind == PAUSE and decision.timer.effect == (step, direction)
    if answered or effort.stand is not (Stand.PAUSING if pause else Stand.WAITING):
        what = step if direction == DO else f"the undo of {step}"
        journey.wrong("INV-4", decision, f"{what} was asked for without need: it was {effort.stand.value}")
    if attempt != effort.attempts + 1:
        journey.wrong("INV-4", decision, f"{event['type']} {step}: attempt {attempt} after {effort.attempts}")
    effort.attempts, effort.stand, effort.due_ms = effort.attempts + 1, Stand.ASKED, number_of(event, "due_ms")
    journey.sends((step, direction), effort.attempts, decision)


def _answered(journey: Journey, decision: Decision, event: Object) -> None:
    leg, answer = journey.legs[event["step"]], event["type"].rpartition(".")[2]
    if leg.answer:
        journey.wrong("INV-7", decision, f"{event['step']} {answer}, though its answer was {leg.answer}")
        return
    if not leg.do.attempts or journey.phase is not Phase.FORWARD:
        journey.wrong("INV-4", decision, f"{event['step']} {answer} when the saga was {journey.phase.value}")
    leg.answer, leg.result = answer, text_of(event, "result")
    if answer == "refused":
        turn(journey, decision, event, reason=event.get("reason"), step=event["step"])


def _step_failed(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.FORWARD)
    leg = journey.legs[event["step"]]
    if leg.answer:
        journey.wrong("INV-7", decision, f"{event['type']} {event['step']}, though its answer was {leg.answer}")
    _fail(journey, decision, event, leg.do)
    if "because" in event:
        turn(journey, decision, event, reason=event.get("reason"), step=event["step"])


def _undo_failed(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.BACKWARD)
    leg = journey.legs[event["step"]]
    if leg.undone:
        journey.wrong("INV-7", decision, f"{event['type']} {event['step']}, which was undone")
    _fail(journey, decision, event, leg.undo)


def _fail(journey: Journey, decision: Decision, event: Object, effort: Effort) -> None:
    if not effort.attempts or effort.stand is Stand.STUCK:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}, of which no answer was awaited")
    passing = event.get("retryable") is True
    effort.trouble, effort.why, effort.due_ms = decision, text_of(event, "reason"), number_of(event, "retry_due_ms")
    effort.stand = Stand.WAITING if passing else Stand.FAILED
    if effort.due_ms is not None:
        effort.stand = Stand.PAUSING
        if not passing:
            journey.wrong("INV-4", decision, f"{event['step']} failed for good, and yet is to be asked for again")


def _step_timed_out(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.FORWARD)
    _time_out(journey, decision, event, journey.legs[event["step"]].do)
    if "because" in event:
        turn(journey, decision, event, step=event["step"])


def _undo_timed_out(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.BACKWARD)
    _time_out(journey, decision, event, journey.legs[event["step"]].undo)


def _time_out(journey: Journey, decision: Decision, event: Object, effort: Effort) -> None:
    timer, was_due = decision.timer, event["step"] in journey.under_way
    if timer is None or timer.kind != DEADLINE:
        was_due = was_due and timer is not None and (effort.stand, effort.due_ms) == (Stand.ASKED, timer.due_ms)
    if not was_due:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}, of which no answer was due then")
    if event.get("attempt") != effort.attempts:
        attempt = event.get("attempt")
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}: attempt {attempt} of {effort.attempts}")
    effort.stand, effort.due_ms, effort.trouble, effort.why = Stand.WAITING, None, decision, None


def _undone(journey: Journey, decision: Decision, event: Object) -> None:
    leg = journey.legs[event["step"]]
    expect(journey, decision, event, Phase.BACKWARD)
    if leg.undone:
        journey.wrong("INV-7", decision, f"the undo of {event['step']} was answered a second time")
    elif not leg.undo.attempts:
        journey.wrong("INV-4", decision, f"the undo of {event['step']} was answered and never asked for")
    leg.undone = True


def _stuck(journey: Journey, decision: Decision, event: Object) -> None:
    """Only what can't be given up: an undo, or a step that has none."""
    expect(journey, decision, event, Phase.FORWARD, Phase.BACKWARD)
    step, direction = event["step"], journey.direction
    effort = journey.legs[step].effort(direction)
    if effort.trouble is not decision or effort.stand not in (Stand.FAILED, Stand.WAITING):
        what = step if direction == DO else f"the undo of {step}"
        journey.wrong("INV-4", decision, f"stuck in {what}, which had not failed")
    elif effort.why not in (None, event.get("reason")):
        journey.wrong("INV-4", decision, f"stuck in {step} for another reason than its failure's")
    if direction == DO and journey.plan.by_name[step].undo is not None:
        journey.wrong("INV-4", decision, f"stuck in {step}, which can be undone")
    effort.stand = Stand.STUCK
    journey.tells(decision, event, "order.stuck")


def _completed(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.FORWARD)
    left = [name for name, leg in journey.legs.items() if not leg.done]
    if left:
        journey.wrong("INV-4", decision, f"completed without {', '.join(left)}")
    _end(journey, decision, event, Phase.COMPLETED)
    journey.tells(decision, event, "order.completed")


def _rolled_back(journey: Journey, decision: Decision, event: Object) -> None:
    expect(journey, decision, event, Phase.BACKWARD)
    standing = [name for name, leg in journey.legs.items() if leg.stands]
    if standing:
        journey.wrong("INV-8", decision, f"rolled back, but {', '.join(standing)} was not undone")
    why, said = journey.because, [event.get(name) for name in ("reason", "step", "requested")]
    if why and said != [why.reason, why.step, why.requested]:
        journey.wrong("INV-4", decision, "rolled back for another reason than the one for which it went back")
    _end(journey, decision, event, Phase.ROLLED_BACK)
    journey.tells(decision, event, "order.cancelled" if why and why.requested else "order.rejected")


def _end(journey: Journey, decision: Decision, event: Object, phase: Phase) -> None:
    journey.phase, journey.forget_ms = phase, number_of(event, "forget_ms")
    if journey.forget_ms is None or journey.forget_ms < (decision.at_ms or 0):
        journey.wrong("INV-4", decision, f"{event['type']} does not say until when the saga is remembered")


def _ignored(journey: Journey, _: Decision, __: Object) -> None:
    journey.ignored += 1


RULES: dict[str, Rule] = {
    "saga.started": _started,
    "saga.step.requested": _step_requested,
    "saga.step.succeeded": _answered,
    "saga.step.refused": _answered,
    "saga.step.failed": _step_failed,
    "saga.step.timed_out": _step_timed_out,
    "saga.compensation.requested": _undo_requested,
    "saga.compensation.succeeded": _undone,
    "saga.compensation.failed": _undo_failed,
    "saga.compensation.timed_out": _undo_timed_out,
    "saga.cancel.requested": people.cancelled,
    "saga.cancel.refused": people.cancel_refused,
    "saga.operated": people.operated,
    "saga.operation.refused": people.operation_refused,
    "saga.reply.ignored": _ignored,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
