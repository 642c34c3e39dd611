"""INV-3, 8, 12, 24, 25 and 26: what a saga sent is what its events announce, in the form of the contract."""

from collections import Counter
from collections.abc import Iterator

from app.audit.evidence import Evidence, Story
from app.audit.journey import Phase, Request, Telling
from app.audit.messages import UTC_TIME, Decision, Message, Object
from app.audit.statements import Violation
from app.audit.terms import COMMAND_EFFECT, COMMANDS, DO, FINAL_OUTCOMES, STEPS, UNDO, attempted

_ALWAYS = ("ce_id", "ce_type", "ce_source", "ce_causationid")
_WITH_STEP = ("order.rejected", "order.stuck")


def sent_once(evidence: Evidence) -> Iterator[Violation]:
    """INV-3, at any time."""
    for story in evidence.stories.values():
        first: dict[str, Message] = {}
        for command in story.commands:
            before = first.setdefault(command.id, command)
            if before is not command:
                how = "with the same content" if before.record.value == command.record.value else "with other content"
                yield Violation("INV-3", story.saga_id, f"command {command.id} was sent twice, {how}")
        fired = Counter(decision.timer for decision in story.decisions if decision.timer)
        for timer, times in fired.items():
            if times > 1:
                yield Violation("INV-3", story.saga_id, f"timer {timer[0]} due {timer[1]} took effect {times} times")
        outcome_ids = Counter(outcome.id for outcome in story.outcomes)
        for id, times in outcome_ids.items():
            if times > 1:
                yield Violation("INV-25", story.saga_id, f"{times} outcomes have the id {id}")


def well_formed(evidence: Evidence) -> Iterator[Violation]:
    """INV-25, at any time: headers of commands and outcomes, and the form of decisions."""
    for story in evidence.stories.values():
        for message in (*story.commands, *story.outcomes):
            for flaw in _flaws(message, story.saga_id):
                yield Violation("INV-25", story.saga_id, f"{message.type} {message.id}: {flaw}")
    for decision in evidence.decisions:
        if decision.flaw:
            where = f"saga.events/{decision.record.partition}@{decision.record.offset}"
            yield Violation("INV-25", decision.saga_id, f"{where}: {decision.flaw}")
        elif decision.cause is None and decision.timer is None:
            yield Violation(
                "INV-25", decision.saga_id, f"decision {decision.seq}: its cause is in a topic without the prefix"
            )


def _flaws(message: Message, saga_id: str) -> Iterator[str]:
    headers = message.headers
    missing = [name for name in _ALWAYS if not headers.get(name)]
    if missing:
        yield f"without {', '.join(missing)}"
    if headers.get("ce_specversion") != "1.0" or headers.get("content-type") != "application/json":
        yield "ce_specversion or content-type is not the contract's"
    if not UTC_TIME.fullmatch(headers.get("ce_time", "")):
        yield "ce_time is not RFC 3339 in UTC"
    if headers.get("ce_correlationid") != saga_id:
        yield "ce_correlationid is not the saga's id"
    if message.record.topic in COMMANDS:
        yield from _command_flaws(message, saga_id)
    elif "ce_idempotencykey" in headers:
        yield "an outcome has an idempotency key"


def _command_flaws(command: Message, saga_id: str) -> Iterator[str]:
    named, step = attempted(saga_id, command.id), COMMANDS[command.record.topic]
    if named is None or named[1] < 1:
        yield "its id is not order:step:direction:attempt"
    elif COMMAND_EFFECT.get(command.type) != named[0] or named[0][0] != step.name:
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
    if story.order is not None:
        wrong = _differences(command.body, _command_body(story.order, story, request))
        if wrong:
            yield Violation("INV-12", story.saga_id, f"command {command.id}: {wrong} is not what the order has")
    expected = _causation(story.saga_id, request)
    if command.causation != expected:
        yield Violation(
            "INV-25", story.saga_id, f"command {command.id}: its cause is {command.causation}, not {expected}"
        )


def _command_body(order: Object, story: Story, request: Request) -> Object:
    step, direction = STEPS[request.effect[0]], request.effect[1]
    fields = step.do_fields if direction == DO else step.undo_fields
    body = {"order_id": story.saga_id, **{name: order[name] for name in fields}}
    result = story.journey.legs[step.name].result
    return {**body, step.result: result} if direction == UNDO and result is not None else body


def _causation(saga_id: str, request: Request) -> str:
    """The message that led to a command; after a timer, the attempt that was not answered or failed."""
    decision = request.decision
    if decision.timer is None:
        return decision.cause_id
    event = decision.events[0]
    if event["type"].endswith(".timed_out"):
        direction = DO if event["type"] == "saga.step.timed_out" else UNDO
        return f"{saga_id}:{event.get('step')}:{direction}:{event.get('attempt')}"
    return f"{saga_id}:{request.effect[0]}:{request.effect[1]}:{request.attempt - 1}"


def _outcomes(story: Story) -> Iterator[Violation]:
    told, tellings = story.outcomes, story.journey.tellings
    if len(told) != len(tellings) or any(o.type not in t.types for o, t in zip(told, tellings, strict=False)):
        wanted = ", ".join("/".join(telling.types) for telling in tellings) or "none"
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
        results = {STEPS[name].result: leg.result for name, leg in story.journey.legs.items()}
        wrong = _differences(outcome.body, {"order_id": story.saga_id, **results})
        if wrong:
            yield "INV-12", f"{wrong} is not what the participants answered"
    else:
        yield from _why(outcome, telling)
    if not _caused(outcome, telling.decision, story.saga_id):
        yield "INV-25", f"its cause is {outcome.causation}, not its decision's"


def _why(outcome: Message, telling: Telling) -> Iterator[tuple[str, str]]:
    reason, step = outcome.body.get("reason"), outcome.body.get("step")
    if type(reason) is not str:
        yield "INV-25", "it gives no reason"
    elif telling.reason not in (None, reason):
        yield "INV-24", "it gives another reason than its event"
    if outcome.type in _WITH_STEP and (type(step) is not str or step not in STEPS):
        yield "INV-25", "it names no step"
    elif outcome.type in _WITH_STEP and telling.step not in (None, step):
        yield "INV-24", f"it names {step}, its event {telling.step}"


def _caused(outcome: Message, decision: Decision, saga_id: str) -> bool:
    """An outcome names the message that led to it; after a timer, a command of the saga that went unanswered."""
    if decision.timer is None:
        return outcome.causation == decision.cause_id
    return attempted(saga_id, outcome.causation) is not None


def _differences(body: Object, expected: Object) -> str:
    names = sorted(name for name in body.keys() | expected.keys() if body.get(name) != expected.get(name))
    return ", ".join(names)
