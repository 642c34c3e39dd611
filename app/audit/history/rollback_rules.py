"""When a saga may start to compensate, and which cause the event that starts it must give."""

from typing import Any

from app.audit.history.replayed_saga import Because, Phase, ReplayedSaga, text_of
from app.audit.recording.records import Decision, Object

REQUESTED_BY = ("saga.cancel.requested", "saga.operated")
"""Events by which a saga compensates because a shop or an operator asked for it."""


def expect_phase(replayed: ReplayedSaga, decision: Decision, event: Object, *phases: Phase) -> None:
    """INV-4: the event is only possible in these phases."""
    if replayed.phase not in phases:
        replayed.violation("INV-4", decision, f"{event['type']} when the saga was {replayed.phase.value}")


def roll_back(
    replayed: ReplayedSaga, decision: Decision, event: Object, *, reason: Any = None, step: str | None = None
) -> None:
    """INV-4 and 8: the event's `because` matches `reason` and `step`, if given, and every step in effect can be undone.

    The saga compensates from here on.
    """
    requested = event["type"] in REQUESTED_BY
    because = replayed.because = _because(replayed, event)
    if because is None or because.requested is not requested:
        replayed.violation("INV-4", decision, f"{event['type']} does not say why the saga compensates")
    elif reason not in (None, because.reason) or step not in (None, because.step):
        replayed.violation("INV-4", decision, f"{event['type']}: its because differs from its own reason or step")
    pivot = replayed.version.pivot
    if pivot is not None and replayed.steps[pivot.name].done:
        replayed.violation("INV-8", decision, f"{event['type']} starts compensation after the pivot {pivot.name}")
    for name, replayed_step in replayed.steps.items():
        in_doubt = replayed_step.is_in_effect and not replayed_step.done
        if in_doubt and replayed.version.by_name[name].undo is None:
            text = f"{event['type']} starts compensation, but {name} may have been done and can't be undone"
            replayed.violation("INV-8", decision, text)
    replayed.phase = Phase.COMPENSATING


def _because(replayed: ReplayedSaga, event: Object) -> Because | None:
    given = event.get("because")
    if type(given) is not dict:
        return None
    reason, step, requested = text_of(given, "reason"), text_of(given, "step"), given.get("requested")
    if reason is None or step not in replayed.steps or type(requested) is not bool:
        return None
    return Because(reason, step, requested)
