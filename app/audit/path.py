"""Walks the events of a saga through its state machine, as the contract describes it, and notes every wrong turn."""

from collections.abc import Iterable, Mapping

from app.audit.journey import Journey, Phase
from app.audit.messages import Decision, Message, Object
from app.audit.recording import Coordinates
from app.audit.rules import RULES
from app.audit.terms import DO, REPLY_EFFECT, STEPS, UNDO, Effect, attempted

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
"""What a saga makes of the first event of a decision, which says what happened to it."""

ANSWERS = {
    "saga.step.succeeded": DO,
    "saga.step.refused": DO,
    "saga.step.failed": DO,
    "saga.compensation.succeeded": UNDO,
    "saga.compensation.failed": UNDO,
}
_OF_ATTEMPTS = {
    **ANSWERS,
    "saga.step.timed_out": DO,
    "saga.compensation.timed_out": UNDO,
    "saga.stuck": UNDO,
}
"""Events that tell of an attempt which was made before."""

_OF_STEPS = {*_OF_ATTEMPTS, "saga.step.requested", "saga.compensation.requested"}
_TIMED = {
    "saga.step.timed_out",
    "saga.compensation.timed_out",
    "saga.step.requested",
    "saga.compensation.requested",
}
FIRST: dict[str, set[str]] = {
    "order.place": {"saga.started"},
    "order.cancel": {"saga.cancel.requested", "saga.cancel.refused"},
    "saga.retry": {"saga.operated", "saga.operation.refused"},
    "saga.skip": {"saga.operated", "saga.operation.refused"},
    "saga.compensate": {"saga.operated", "saga.operation.refused"},
    **{step.succeeded: {"saga.step.succeeded", IGNORED} for step in STEPS.values()},
    **{step.refused: {"saga.step.refused", IGNORED} for step in STEPS.values()},
    **{step.undone: {"saga.compensation.succeeded", IGNORED} for step in STEPS.values()},
    **{step.failed: {"saga.step.failed", "saga.compensation.failed", IGNORED} for step in STEPS.values()},
}
"""Which events an input may lead to first."""


def walk(saga_id: str, decisions: Iterable[Decision], inputs: Mapping[Coordinates, Message]) -> Journey:
    """The journey that a saga's decisions tell, in their order; an input that is not at hand is taken on trust."""
    journey = Journey(saga_id)
    for decision in decisions:
        if not decision.flaw:
            given = inputs.get(decision.cause) if decision.cause else None
            _check_first(journey, decision)
            _check_answer(journey, decision, given)
            for index, event in enumerate(decision.events):
                _step(journey, decision, event, index)
            _keep_result(journey, decision, given)
    return journey


def _check_first(journey: Journey, decision: Decision) -> None:
    first = decision.events[0]["type"]
    allowed = _TIMED if decision.timer else FIRST.get(decision.cause_type, set())
    if first not in allowed:
        cause = "a timer" if decision.timer else decision.cause_type
        journey.wrong("INV-4", decision, f"{cause} cannot lead to {first}")
    if first in ALONE and len(decision.events) > 1:
        journey.wrong("INV-4", decision, f"{first} changes nothing, yet more events came with it")


def _check_answer(journey: Journey, decision: Decision, reply: Message | None) -> None:
    """A reply that counts names a command of that effect, sent before; one that should have counted did."""
    if decision.timer or reply is None:
        return
    event, named = decision.events[0], attempted(journey.saga_id, reply.causation)
    direction = ANSWERS.get(event["type"])
    if direction is not None:
        effect = (event.get("step"), direction)
        if named is None or named[0] != effect:
            journey.wrong("INV-20", decision, f"{event['type']} from a reply to {reply.causation}")
        elif not 1 <= named[1] <= journey.sent(named[0]):
            journey.wrong("INV-20", decision, f"a reply counted that answers {reply.causation}, never sent before")
    elif event["type"] == IGNORED and named and REPLY_EFFECT.get(reply.type) == named[0] and _awaited(journey, *named):
        journey.wrong("INV-7", decision, f"{reply.type} was ignored, the first final answer to its effect")


def _awaited(journey: Journey, effect: Effect, attempt: int) -> bool:
    leg = journey.legs[effect[0]]
    if not 1 <= attempt <= journey.sent(effect):
        return False
    if effect[1] == DO:
        return journey.phase is Phase.FORWARD and not leg.answer
    return journey.phase in (Phase.BACKWARD, Phase.STUCK) and not leg.undone


def _keep_result(journey: Journey, decision: Decision, reply: Message | None) -> None:
    event = decision.events[0]
    if reply and event["type"] == "saga.step.succeeded" and event.get("step") in STEPS:
        result = reply.body.get(STEPS[event["step"]].result)
        journey.legs[event["step"]].result = result if type(result) is str else None


def _step(journey: Journey, decision: Decision, event: Object, index: int) -> None:
    type = event["type"]
    rule = RULES.get(type)
    if rule is None:
        journey.wrong("INV-4", decision, f"there is no event {type}")
    elif type in _OF_STEPS and event.get("step") not in STEPS:
        journey.wrong("INV-4", decision, f"{type} names no step")
    elif index and type not in FOLLOWING:
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
    direction, attempt = _OF_ATTEMPTS.get(event["type"]), event.get("attempt")
    if direction is None or attempt is None:
        return
    sent = journey.sent((event["step"], direction))
    if type(attempt) is not int or not 1 <= attempt <= sent:
        journey.wrong("INV-4", decision, f"{event['type']} {event['step']}: attempt {attempt} of {sent}")
