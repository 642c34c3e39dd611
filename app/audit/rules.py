"""What each event does to a saga's journey, and what must have come before it."""

from collections.abc import Callable
from typing import Any

from app.audit.journey import Journey, Leg, Phase
from app.audit.messages import Decision, Object
from app.audit.terms import DO, STEPS, UNDO

Rule = Callable[[Journey, Decision, Any], None]


def _expect(journey: Journey, decision: Decision, event: Object, *phases: Phase) -> None:
    if journey.phase not in phases:
        journey.wrong("INV-4", decision, f"{event['type']} when the saga was {journey.phase.value}")


def _count(journey: Journey, decision: Decision, event: Object, before: int) -> int:
    attempt = event.get("attempt")
    if attempt != before + 1:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}: attempt {attempt} after {before}")
    return before + 1


def _started(journey: Journey, _: Decision, __: Object) -> None:
    journey.phase = Phase.FORWARD


def _step_requested(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.FORWARD)
    leg = journey.legs[event["step"]]
    missing = [need for need in STEPS[event["step"]].needs if journey.legs[need].answer != "succeeded"]
    if missing:
        journey.wrong("INV-4", decision, f"{event['step']} was asked for before {', '.join(missing)} was done")
    if leg.answer or (leg.attempts and not leg.troubled):
        journey.wrong("INV-4", decision, f"{event['step']} was asked for again without need")
    if not leg.attempts:
        leg.after = frozenset(name for name, other in journey.legs.items() if other.answer == "succeeded")
    leg.attempts, leg.troubled = _count(journey, decision, event, leg.attempts), False
    journey.sends((event["step"], DO), leg.attempts, decision)


def _answered(journey: Journey, decision: Decision, event: Object) -> None:
    leg, answer = journey.legs[event["step"]], event["type"].rpartition(".")[2]
    if leg.answer:
        journey.wrong("INV-7", decision, f"{event['step']} {answer}, though its answer was {leg.answer}")
        return
    if not leg.attempts or leg.undos or journey.phase is not Phase.FORWARD:
        journey.wrong("INV-4", decision, f"{event['step']} {answer} when the saga was {journey.phase.value}")
    leg.answer, leg.troubled = answer, False
    if answer == "refused":
        journey.phase = Phase.BACKWARD


def _troubled(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.FORWARD)
    leg = journey.legs[event["step"]]
    if leg.answer:
        journey.wrong("INV-7", decision, f"{event['type']} {event['step']}, though its answer was {leg.answer}")
    elif not leg.attempts:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}, never asked for")
    leg.troubled = True


def _undo_requested(journey: Journey, decision: Decision, event: Object) -> None:
    step = event["step"]
    leg = journey.legs[step]
    given_up = journey.phase is Phase.FORWARD and any(other.troubled for other in journey.legs.values())
    if journey.phase is not Phase.BACKWARD and not given_up:
        journey.wrong("INV-4", decision, f"the undo of {step} was asked for without need")
    journey.phase = Phase.BACKWARD
    _check_undo(journey, decision, step, leg)
    leg.undos, leg.undo_troubled = _count(journey, decision, event, leg.undos), False
    journey.sends((step, UNDO), leg.undos, decision)


def _check_undo(journey: Journey, decision: Decision, step: str, leg: Leg) -> None:
    if not leg.stands:
        journey.wrong("INV-8", decision, f"the undo of {step} was asked for, of which nothing stands")
    elif leg.undos and not leg.undo_troubled:
        journey.wrong("INV-4", decision, f"the undo of {step} was asked for again without need")
    newer = [name for name, other in journey.legs.items() if step in other.after and other.stands]
    if newer:
        journey.wrong("INV-8", decision, f"{step} is undone before {', '.join(newer)}, which came after it")


def _undone(journey: Journey, decision: Decision, event: Object) -> None:
    leg = journey.legs[event["step"]]
    _expect(journey, decision, event, Phase.BACKWARD, Phase.STUCK)
    if leg.undone:
        journey.wrong("INV-7", decision, f"the undo of {event['step']} was answered a second time")
    elif not leg.undos:
        journey.wrong("INV-4", decision, f"the undo of {event['step']} was answered and never asked for")
    leg.undone = True
    journey.phase = Phase.BACKWARD


def _undo_troubled(journey: Journey, decision: Decision, event: Object) -> None:
    leg = journey.legs[event["step"]]
    other_is_stuck = journey.phase is Phase.STUCK and journey.stuck_in != event["step"]
    if not other_is_stuck:
        _expect(journey, decision, event, Phase.BACKWARD)
    if leg.undone or not leg.undos:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}, of which no undo was awaited")
    leg.undo_troubled = True


def _cancelled(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.FORWARD)
    journey.phase = Phase.BACKWARD
    journey.wishes.add("order.cancel")


def _cancel_refused(journey: Journey, decision: Decision, event: Object) -> None:
    if journey.phase is Phase.FORWARD:
        journey.wrong("INV-4", decision, "a cancel was refused though the saga was going forward")
    journey.tells(decision, event, "order.cancel.refused")


def _operated(journey: Journey, decision: Decision, event: Object) -> None:
    wish = decision.cause_type
    _expect(journey, decision, event, Phase.FORWARD if wish == "saga.compensate" else Phase.STUCK)
    if wish == "saga.skip" and journey.stuck_in:
        leg = journey.legs[journey.stuck_in]
        leg.undone = leg.by_hand = True
    journey.phase = Phase.BACKWARD
    journey.wishes.add(wish)


def _stuck(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.BACKWARD)
    if not journey.legs[event["step"]].undo_troubled:
        journey.wrong("INV-4", decision, f"stuck in {event['step']}, whose undo had not failed")
    journey.phase, journey.stuck_in = Phase.STUCK, event["step"]
    journey.tells(decision, event, "order.stuck")


def _completed(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.FORWARD)
    undone = [name for name, leg in journey.legs.items() if leg.answer != "succeeded"]
    if undone:
        journey.wrong("INV-4", decision, f"completed without {', '.join(undone)}")
    journey.phase = Phase.COMPLETED
    journey.tells(decision, event, "order.completed")


def _rolled_back(journey: Journey, decision: Decision, event: Object) -> None:
    _expect(journey, decision, event, Phase.BACKWARD)
    standing = [name for name, leg in journey.legs.items() if leg.stands]
    if standing:
        journey.wrong("INV-8", decision, f"rolled back, but {', '.join(standing)} was not undone")
    journey.phase = Phase.ROLLED_BACK
    if "order.cancel" in journey.wishes:
        journey.tells(decision, event, "order.cancelled")
    elif "saga.compensate" in journey.wishes:
        journey.tells(decision, event, "order.cancelled", "order.rejected")
    else:
        journey.tells(decision, event, "order.rejected")


def _ignored(journey: Journey, _: Decision, __: Object) -> None:
    journey.ignored += 1


def _nothing(_: Journey, __: Decision, ___: Object) -> None:
    """A refused operation changes nothing."""


RULES: dict[str, Rule] = {
    "saga.started": _started,
    "saga.step.requested": _step_requested,
    "saga.step.succeeded": _answered,
    "saga.step.refused": _answered,
    "saga.step.failed": _troubled,
    "saga.step.timed_out": _troubled,
    "saga.compensation.requested": _undo_requested,
    "saga.compensation.succeeded": _undone,
    "saga.compensation.failed": _undo_troubled,
    "saga.compensation.timed_out": _undo_troubled,
    "saga.cancel.requested": _cancelled,
    "saga.cancel.refused": _cancel_refused,
    "saga.operated": _operated,
    "saga.operation.refused": _nothing,
    "saga.reply.ignored": _ignored,
    "saga.completed": _completed,
    "saga.rolled_back": _rolled_back,
    "saga.stuck": _stuck,
}
