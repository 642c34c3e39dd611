"""The turn from going forward to going back: who may take it, until when, and what must be told of it."""

from typing import Any

from app.audit.journey import Because, Journey, Phase, text_of
from app.audit.messages import Decision, Object

WISHES = ("saga.cancel.requested", "saga.operated")
"""Events by which a saga goes back because somebody asked for it."""


def expect(journey: Journey, decision: Decision, event: Object, *phases: Phase) -> None:
    """The saga is where such an event can come."""
    if journey.phase not in phases:
        journey.wrong("INV-4", decision, f"{event['type']} when the saga was {journey.phase.value}")


def turn(journey: Journey, decision: Decision, event: Object, *, reason: Any = None, step: str | None = None) -> None:
    """The saga goes back for the reason and after the step given, if they are given; nothing stands in its way."""
    requested = event["type"] in WISHES
    because = journey.because = _because(journey, event)
    if because is None or because.requested is not requested:
        journey.wrong("INV-4", decision, f"{event['type']} does not say why the saga goes back")
    elif reason not in (None, because.reason) or step not in (None, because.step):
        journey.wrong("INV-4", decision, f"{event['type']} gives another reason for going back than it has")
    pivot = journey.plan.pivot
    if pivot is not None and journey.legs[pivot.name].done:
        journey.wrong("INV-8", decision, f"{event['type']} after {pivot.name}, the point of no return")
    for name, leg in journey.legs.items():
        if leg.stands and not leg.done and journey.plan.by_name[name].undo is None:
            journey.wrong("INV-8", decision, f"{event['type']} when {name} may have been done, which can't be undone")
    journey.phase = Phase.BACKWARD


def _because(journey: Journey, event: Object) -> Because | None:
    said = event.get("because")
    if type(said) is not dict:
        return None
    reason, step, requested = text_of(said, "reason"), text_of(said, "step"), said.get("requested")
    if reason is None or step not in journey.legs or type(requested) is not bool:
        return None
    return Because(reason, step, requested)
