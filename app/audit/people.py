"""What people wish: granted where it makes sense, refused where it doesn't, and told with who and why."""

from app.audit.journey import Journey, Phase, Stand
from app.audit.messages import Decision, Object
from app.audit.turning import expect, turn


def cancelled(journey: Journey, decision: Decision, event: Object) -> None:
    """The saga goes back on its shop's wish."""
    expect(journey, decision, event, Phase.FORWARD)
    turn(journey, decision, event, reason=event.get("reason"))


def cancel_refused(journey: Journey, decision: Decision, event: Object) -> None:
    """There is nothing left to cancel."""
    if journey.phase is Phase.FORWARD and journey.can_go_back:
        journey.wrong("INV-4", decision, "a cancel was refused though the saga could go back")
    journey.tells(decision, event, "order.cancel.refused")


def operated(journey: Journey, decision: Decision, event: Object) -> None:
    """A person sees to what is stuck, or turns the saga back."""
    if decision.cause_type == "saga.compensate":
        _compensate(journey, decision, event)
    elif not journey.stuck:
        journey.wrong("INV-4", decision, f"{decision.cause_type} was granted though nothing was stuck")
    else:
        _see_to(journey, decision, event)


def _compensate(journey: Journey, decision: Decision, event: Object) -> None:
    """A stuck pivot that can't be undone is taken as never done, on the person's word."""
    expect(journey, decision, event, Phase.FORWARD)
    pivot = journey.plan.pivot
    if pivot is not None and pivot.name in journey.stuck:
        journey.legs[pivot.name].undone = journey.legs[pivot.name].by_hand = True
    turn(journey, decision, event, reason=event.get("reason"))


def _see_to(journey: Journey, decision: Decision, event: Object) -> None:
    stuck, named = journey.stuck, event.get("steps")
    if type(named) is not list or sorted(map(str, named)) != sorted(stuck):
        journey.wrong("INV-4", decision, f"{decision.cause_type} does not name {', '.join(stuck)}, which were stuck")
    forward = journey.phase is Phase.FORWARD
    for name, effort in stuck.items():
        leg = journey.legs[name]
        if decision.cause_type == "saga.retry":
            effort.stand = Stand.WAITING
        elif forward:
            leg.answer, leg.by_hand = "skipped", True
        else:
            leg.undone = leg.by_hand = True


def operation_refused(journey: Journey, decision: Decision, _: Object) -> None:
    """It makes no sense where the saga is."""
    pivot = journey.plan.pivot
    if decision.cause_type == "saga.compensate":
        forgiven = pivot is not None and pivot.name in journey.stuck
        sense = journey.phase is Phase.FORWARD and (journey.can_go_back or forgiven)
    else:
        sense = bool(journey.stuck)
    if sense:
        journey.wrong("INV-4", decision, f"{decision.cause_type} was refused though it made sense")
