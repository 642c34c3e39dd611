"""INV-3, 8, 12, 24, 25 and 26: what a saga sent is what its events announce, in the form of the contract."""

from collections import Counter
from collections.abc import Iterator

from app.audit.evidence import Evidence
from app.audit.journey import Phase, Request, Telling, number_of
from app.audit.lives import Story
from app.audit.messages import Decision, Message, Object, ms_of
from app.audit.statements import Violation
from app.audit.terms import DO, FINAL_OUTCOMES, UNDO, Ask, Effect, Plan, Terms, attempted, command_id
from app.audit.timers import DEADLINE

_ALWAYS = ("ce_id", "ce_type", "ce_source", "ce_causationid")
_WITH_STEP = ("order.rejected", "order.stuck")


def sent_once(evidence: Evidence) -> Iterator[Violation]:
    """INV-3, at any time."""
    for story in evidence.stories:
        first: dict[str, Message] = {}
        for command in story.commands:
            before = first.setdefault(command.id, command)
            if before is not command:
                how = "with the same content" if before.record.value == command.record.value else "with other content"
                yield Violation("INV-3", story.saga_id, f"command {command.id} was sent twice, {how}")
        fired = Counter(decision.timer for decision in story.decisions if decision.timer)
        for timer, times in fired.items():
            if times > 1:
                yield Violation("INV-3", story.saga_id, f"timer {timer.name} due {timer.due} took effect {times} times")
    for saga_id, stories in evidence.by_id.items():  # a reader who drops duplicates knows of no second story
        outcome_ids = Counter(outcome.id for story in stories for outcome in story.outcomes)
        for id, times in outcome_ids.items():
            if times > 1:
                yield Violation("INV-25", saga_id, f"{times} outcomes have the id {id}")


def well_formed(evidence: Evidence) -> Iterator[Violation]:
    """INV-25, at any time: headers of commands and outcomes, and the form of decisions."""
    for story in evidence.stories:
        for message in (*story.commands, *story.outcomes):
            for flaw in _flaws(message, story.saga_id, evidence.terms):
                yield Violation("INV-25", story.saga_id, f"{message.type} {message.id}: {flaw}")
    for decision in evidence.decisions:
        if decision.flaw:
            where = f"saga.events/{decision.record.partition}@{decision.record.offset}"
            yield Violation("INV-25", decision.saga_id, f"{where}: {decision.flaw}")
        elif decision.cause is None and decision.timer is None:
            yield Violation(
                "INV-25", decision.saga_id, f"decision {decision.seq}: its cause is in a topic without the prefix"
            )


def _flaws(message: Message, saga_id: str, terms: Terms) -> Iterator[str]:
    headers = message.headers
    missing = [name for name in _ALWAYS if not headers.get(name)]
    if missing:
        yield f"without {', '.join(missing)}"
    if headers.get("ce_specversion") != "1.0" or headers.get("content-type") != "application/json":
        yield "ce_specversion or content-type is not the contract's"
    if ms_of(headers.get("ce_time")) is None:
        yield "ce_time is not RFC 3339 in UTC"
    if headers.get("ce_correlationid") != saga_id:
        yield "ce_correlationid is not the saga's id"
    if message.record.topic in terms.commands:
        yield from _command_flaws(message, saga_id, terms)
    elif "ce_idempotencykey" in headers:
        yield "an outcome has an idempotency key"


def _command_flaws(command: Message, saga_id: str, terms: Terms) -> Iterator[str]:
    named, step = attempted(saga_id, command.id), terms.commands[command.record.topic]
    if named is None or named[1] < 1:
        yield "its id is not order:step:direction:attempt"
    elif terms.command_effect.get(command.type) != named[0] or named[0][0] != step.name:
        yield "its id, type and topic do not go together"
    if command.headers.get("ce_idempotencykey") != command.id.rpartition(":")[0]:
        yield "its idempotency key is not its id without the attempt"


def as_announced(evidence: Evidence) -> Iterator[Violation]:
    """INV-8, 12, 24, 25 and 26, when all is quiet: commands and outcomes against the events."""
    for story in evidence.whole_stories():
        yield from _commands(story)
        yield from _outcomes(story)


def _commands(story: Story) -> Iterator[Violation]:
    sent = {command.id: command for command in story.commands}
    requests = {request.id: request for request in story.journey.requests}
    for id in sorted(requests.keys() - sent.keys()):
        yield Violation("INV-26", story.saga_id, f"command {id} was announced and not sent")
    for id in sorted(sent.keys() - requests.keys()):
        yield Violation("INV-26", story.saga_id, f"command {id} was sent and not announced")
    if story.journey.phase is Phase.COMPLETED and any(c.id.split(":")[-2:-1] == [UNDO] for c in story.commands):
        yield Violation("INV-8", story.saga_id, "a completed saga sent an undo")
    for id in sorted(sent.keys() & requests.keys()):
        yield from _command(story, sent[id], requests[id])


def _command(story: Story, command: Message, request: Request) -> Iterator[Violation]:
    step = story.journey.plan.by_name[request.effect[0]]
    ask = step.undo if request.effect[1] == UNDO else step.do
    if ask is None or ask.type != command.type:
        yield Violation("INV-26", story.saga_id, f"command {command.id} is {command.type}, which is not its step's")
    elif story.order is not None:
        wrong = _differences(command.body, _command_body(story.order, story, ask))
        if wrong:
            yield Violation("INV-12", story.saga_id, f"command {command.id}: {wrong} is not what the order has")
    expected = _causation(request.decision, story.saga_id, story.journey.plan)
    if command.causation != expected:
        yield Violation(
            "INV-25", story.saga_id, f"command {command.id}: its cause is {command.causation}, not {expected}"
        )


def _command_body(order: Object, story: Story, ask: Ask) -> Object:
    """What the saga's version has it carry; results only of steps that told one."""
    known = _results(story)
    results = {name: known[name] for name in ask.results if name in known}
    return {"order_id": story.saga_id, **{name: order.get(name) for name in ask.fields}, **results}


def _results(story: Story) -> dict[str, str]:
    """What participants called what they did, by the name of the field."""
    steps, legs = story.journey.plan.by_name, story.journey.legs
    return {steps[name].result: leg.result for name, leg in legs.items() if leg.result is not None}


def _causation(decision: Decision, saga_id: str, plan: Plan) -> str:
    """The message that led to it; after a timer the attempt that it followed, or what came before it."""
    timer = decision.timer
    if timer is None:
        return decision.cause_id
    effect, attempt = timer.effect, timer.attempt
    if timer.kind == DEADLINE:
        last = next((event for event in reversed(decision.events) if "because" in event), {})
        effect, attempt = (last.get("step", ""), DO), number_of(last, "attempt") or 0
    if attempt:
        return command_id(saga_id, effect, attempt)
    return _before(plan, saga_id, effect)


def _before(plan: Plan, saga_id: str, effect: Effect) -> str:
    """What a first attempt names that had to wait: an undo its do, a do that of the last step before it, if any."""
    name, direction = effect
    if direction != DO:
        return command_id(saga_id, (name, DO), 1)
    needs = plan.by_name[name].needs if name in plan.by_name else frozenset()
    earlier = [step.name for step in plan.steps if step.name in needs]
    return command_id(saga_id, (earlier[-1], DO), 1) if earlier else saga_id


def _outcomes(story: Story) -> Iterator[Violation]:
    told, tellings = story.outcomes, story.journey.tellings
    if [outcome.type for outcome in told] != [telling.type for telling in tellings]:
        wanted = ", ".join(telling.type for telling in tellings) or "none"
        had = ", ".join(outcome.type for outcome in told) or "none"
        yield Violation("INV-24", story.saga_id, f"outcomes {had}; its events have {wanted}")
    final = [outcome.type for outcome in told if outcome.type in FINAL_OUTCOMES]
    if len(final) > 1:
        yield Violation("INV-24", story.saga_id, f"{len(final)} final outcomes")
    for outcome, telling in zip(told, tellings, strict=False):
        for invariant, flaw in _outcome(story, outcome, telling):
            yield Violation(invariant, story.saga_id, f"{outcome.type}: {flaw}")


def _outcome(story: Story, outcome: Message, telling: Telling) -> Iterator[tuple[str, str]]:
    if outcome.type == "order.completed":
        wrong = _differences(outcome.body, {"order_id": story.saga_id, **_results(story)})
        if wrong:
            yield "INV-12", f"{wrong} is not what the participants answered"
    else:
        yield from _why(story, outcome, telling)
    expected = _causation(telling.decision, story.saga_id, story.journey.plan)
    if outcome.causation != expected:
        yield "INV-25", f"its cause is {outcome.causation}, not {expected}"


def _why(story: Story, outcome: Message, telling: Telling) -> Iterator[tuple[str, str]]:
    reason, step = outcome.body.get("reason"), outcome.body.get("step")
    if type(reason) is not str:
        yield "INV-25", "it gives no reason"
    elif telling.reason != reason:
        yield "INV-24", "it gives another reason than its event"
    if outcome.body.keys() - {"order_id", "reason", "step"} or ("step" in outcome.body) > (outcome.type in _WITH_STEP):
        yield "INV-25", "it has more fields than the contract gives it"
    if outcome.type in _WITH_STEP and (type(step) is not str or step not in story.journey.legs):
        yield "INV-25", "it names no step"
    elif outcome.type in _WITH_STEP and telling.step != step:
        yield "INV-24", f"it names {step}, its event {telling.step}"


def _differences(body: Object, expected: Object) -> str:
    names = sorted(name for name in body.keys() | expected.keys() if body.get(name) != expected.get(name))
    return ", ".join(names)
