"""Walks the events of a saga through its state machine, as the contract describes it, and notes every wrong turn."""

from collections.abc import Iterable, Mapping

from app.audit.journey import Journey, Phase, Stand
from app.audit.messages import Decision, Message, Object
from app.audit.people import rightly_judged
from app.audit.recording import Coordinates
from app.audit.rules import RULES
from app.audit.sayings import truly_told
from app.audit.terms import DO, UNDO, Effect, Plan, Terms, attempted
from app.audit.timers import DEADLINE, DIRECTION, PAUSE, ROOM, STARTED_BY, TIMEOUT, Timer

IGNORED = "saga.reply.ignored"
ALONE = {IGNORED, "saga.cancel.refused", "saga.operation.refused"}
"""They change nothing, so nothing else is in their decision; they alone may come after the end."""

FOLLOWING = {
    "saga.step.requested",
    "saga.compensation.requested",
    "saga.completed",
    "saga.rolled_back",
    "saga.stuck",
}
"""What a saga makes of what happened, which comes first; at its deadline all that was asked for times out at once."""

ANSWERS = {
    "saga.step.succeeded": DO,
    "saga.step.refused": DO,
    "saga.step.failed": DO,
    "saga.compensation.succeeded": UNDO,
    "saga.compensation.failed": UNDO,
}
_OF_STEPS = {*ANSWERS, *DIRECTION, "saga.stuck"}
_WISHED = {
    "order.place": {"saga.started"},
    "order.cancel": {"saga.cancel.requested", "saga.cancel.refused"},
    "saga.retry": {"saga.operated", "saga.operation.refused"},
    "saga.skip": {"saga.operated", "saga.operation.refused"},
    "saga.compensate": {"saga.operated", "saga.operation.refused"},
}
_STANDS = {TIMEOUT: Stand.ASKED, PAUSE: Stand.PAUSING, ROOM: Stand.WAITING}


def walk(
    saga_id: str, terms: Terms, plan: Plan, decisions: Iterable[Decision], inputs: Mapping[Coordinates, Message]
) -> Journey:
    """The journey that a saga's decisions tell, in their order; an input that is not at hand is taken on trust."""
    journey, first = Journey(saga_id, plan), _first(terms)
    for decision in decisions:
        if not decision.flaw:
            given = inputs.get(decision.cause) if decision.cause else None
            if decision.timer:
                _check_timer(journey, decision, decision.timer)
            else:
                _check_first(journey, decision, first.get(decision.cause_type, set()))
            if given is not None:
                _check_answer(journey, decision, given, terms)
                truly_told(journey, decision, given)
                rightly_judged(journey, decision, given)
            _take(journey, decision)
    return journey


def _first(terms: Terms) -> dict[str, set[str]]:
    """Which events an input may lead to first."""
    answers = {
        type: {"saga.step.succeeded" if direction == DO else "saga.compensation.succeeded", IGNORED}
        for type, (_, direction) in terms.reply_effect.items()
    }
    refusals = {step.refused: {"saga.step.refused", IGNORED} for step in terms.steps.values() if step.refused}
    failed = {"saga.step.failed", "saga.compensation.failed", IGNORED}
    return {**_WISHED, **answers, **refusals, **{step.failed: failed for step in terms.steps.values()}}


def _take(journey: Journey, decision: Decision) -> None:
    for index, event in enumerate(decision.events):
        _step(journey, decision, event, index)
    timer = decision.timer
    if timer and timer.kind == DEADLINE and journey.phase is Phase.FORWARD:
        journey.wrong("INV-4", decision, "the saga's deadline had passed, and it did not go back")


def _check_first(journey: Journey, decision: Decision, allowed: set[str]) -> None:
    first = decision.events[0]["type"]
    if first not in allowed:
        journey.wrong("INV-4", decision, f"{decision.cause_type} cannot lead to {first}")
    if first in ALONE and len(decision.events) > 1:
        journey.wrong("INV-4", decision, f"{first} changes nothing, yet more events came with it")


def _check_timer(journey: Journey, decision: Decision, timer: Timer) -> None:
    """It was due by then, the events before had told so, and it leads to what its name says."""
    first = decision.events[0]
    if timer.due_ms is None or decision.at_ms is None or decision.at_ms < timer.due_ms:
        journey.wrong("INV-9", decision, f"timer {timer.name} took effect before {timer.due}, when it was due")
    if not timer.kind:
        journey.wrong("INV-20", decision, f"a timer is called {timer.name}")
    elif first["type"] not in STARTED_BY[timer.kind]:
        journey.wrong("INV-4", decision, f"timer {timer.name} cannot lead to {first['type']}")
    elif timer.kind != DEADLINE:
        _check_due(journey, decision, timer, first)
    elif timer.due_ms != journey.deadline_ms:
        journey.wrong("INV-9", decision, f"no deadline of the saga was due at {timer.due}")


def _check_due(journey: Journey, decision: Decision, timer: Timer, first: Object) -> None:
    if (first.get("step"), DIRECTION[first["type"]]) != timer.effect:
        journey.wrong("INV-20", decision, f"timer {timer.name} led to {first['type']} of {first.get('step')}")
        return
    effort = journey.effort(timer.effect)
    if effort is None or (effort.stand, effort.attempts) != (_STANDS[timer.kind], timer.attempt):
        journey.wrong("INV-4", decision, f"timer {timer.name} when nothing waited for it")
    elif timer.kind != ROOM and effort.due_ms != timer.due_ms:
        journey.wrong("INV-9", decision, f"timer {timer.name} was not due at {timer.due}")


def _check_answer(journey: Journey, decision: Decision, reply: Message, terms: Terms) -> None:
    """A reply that counts names a command of that effect, sent before; one that should have counted did."""
    event, named = decision.events[0], attempted(journey.saga_id, reply.causation)
    direction = ANSWERS.get(event["type"])
    if direction is not None:
        effort = journey.effort(named[0]) if named else None
        if named is None or effort is None or named[0] != (event.get("step"), direction):
            journey.wrong("INV-20", decision, f"{event['type']} from a reply to {reply.causation}")
        elif not 1 <= named[1] <= effort.attempts:
            journey.wrong("INV-20", decision, f"a reply counted that answers {reply.causation}, never sent before")
    elif event["type"] == IGNORED and named and _awaited(journey, *named, terms.reply_effect.get(reply.type)):
        journey.wrong("INV-7", decision, f"{reply.type} was ignored, the first final answer to its effect")


def _awaited(journey: Journey, effect: Effect, attempt: int, answered: Effect | None) -> bool:
    leg, effort = journey.legs.get(effect[0]), journey.effort(effect)
    if leg is None or effort is None or not 1 <= attempt <= effort.attempts or answered != effect:
        return False
    if effect[1] == DO:
        return journey.phase is Phase.FORWARD and not leg.answer
    return journey.phase is Phase.BACKWARD and not leg.undone


def _step(journey: Journey, decision: Decision, event: Object, index: int) -> None:
    type = event["type"]
    rule = RULES.get(type)
    if rule is None:
        journey.wrong("INV-4", decision, f"there is no event {type}")
    elif type in _OF_STEPS and event.get("step") not in journey.legs:
        journey.wrong("INV-4", decision, f"{type} names no step")
    elif index and type not in FOLLOWING and not (decision.timer and type in STARTED_BY[DEADLINE]):
        journey.wrong("INV-4", decision, f"{type} can only come first")
    elif type == "saga.started" and journey.phase is not Phase.NOT_STARTED:
        journey.wrong("INV-2", decision, "the saga started a second time")
    elif journey.ended and type not in ALONE:
        late_undo = type == "saga.compensation.requested" and journey.phase is Phase.COMPLETED
        journey.wrong("INV-8" if late_undo else "INV-4", decision, f"{type} when the saga was {journey.phase.value}")
    elif journey.phase is Phase.NOT_STARTED and type != "saga.started":
        journey.wrong("INV-4", decision, f"{type} before the start")
    else:
        _check_attempt(journey, decision, event)
        rule(journey, decision, event)


def _check_attempt(journey: Journey, decision: Decision, event: Object) -> None:
    if event.get("at_ms", decision.at_ms) != decision.at_ms:
        journey.wrong("INV-4", decision, f"{event['type']} tells another time than its decision's")
    if event["type"] not in ANSWERS and event["type"] != "saga.stuck":
        return
    direction = ANSWERS.get(event["type"], journey.direction)
    sent, attempt = journey.legs[event["step"]].effort(direction).attempts, event.get("attempt")
    if type(attempt) is not int or not 1 <= attempt <= sent:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}: attempt {attempt} of {sent}")
