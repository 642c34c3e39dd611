"""What people wish: granted where it makes sense, refused where it doesn't, and told with who and why."""

from typing import Any

from app.audit.journey import Journey, Phase, Stand
from app.audit.messages import Decision, Message, Object
from app.audit.turning import expect, turn

_SEEING_TO = ("saga.retry", "saga.skip")
IN_VAIN, GRANTED = "saga.operation.refused", "saga.operated"


def rightly_judged(journey: Journey, decision: Decision, wish: Message) -> None:
    """Before it takes effect: a wish about what is stuck means the step that it names, or all; a skip only ever one."""
    if decision.cause_type not in _SEEING_TO:
        return
    named, event = wish.body.get("step"), decision.events[0]
    meant = [step for step in journey.stuck if named in (None, step)]
    sense = len(meant) == 1 or (len(meant) > 1 and decision.cause_type == "saga.retry")
    if event["type"] == IN_VAIN and sense:
        journey.wrong("INV-4", decision, f"{decision.cause_type} was refused though it made sense")
    elif event["type"] == GRANTED and not sense:
        journey.wrong("INV-4", decision, f"{decision.cause_type} was granted though it made no sense")
    elif event["type"] == GRANTED and _texts(event.get("steps")) != sorted(meant):
        journey.wrong("INV-4", decision, f"{decision.cause_type} meant {', '.join(meant)}, and saw to something else")


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
    stuck, named = journey.stuck, _texts(event.get("steps"))
    if not named or not stuck.keys() >= set(named):
        journey.wrong("INV-4", decision, f"{decision.cause_type} names other steps than {', '.join(stuck)}, the stuck")
    forward = journey.phase is Phase.FORWARD
    for name, effort in stuck.items():
        if name not in named:
            continue
        leg = journey.legs[name]
        if decision.cause_type == "saga.retry":
            effort.stand = Stand.WAITING
        elif forward:
            leg.answer, leg.by_hand = "skipped", True
        else:
            leg.undone = leg.by_hand = True


def operation_refused(journey: Journey, decision: Decision, _: Object) -> None:
    """It makes no sense where the saga is; of a retry or a skip that can't be told without its message."""
    pivot = journey.plan.pivot
    forgiven = pivot is not None and pivot.name in journey.stuck
    sense = journey.phase is Phase.FORWARD and (journey.can_go_back or forgiven)
    if sense and decision.cause_type == "saga.compensate":
        journey.wrong("INV-4", decision, f"{decision.cause_type} was refused though it made sense")


def _texts(value: Any) -> list[str]:
    """A list of texts, in their order; empty for anything else."""
    return sorted(map(str, value)) if type(value) is list else []
