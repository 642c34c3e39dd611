"""INV-3, 8, 12, 24, 25 and 26: commands and outcomes match the events that announce them, in the contract's form."""

from collections import Counter
from collections.abc import Iterator

from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.history.replayed_saga import ExpectedCommand, ExpectedOutcome, Phase, timed_effect
from app.audit.invariants import Violation
from app.audit.recording.records import Decision, Message, Object, ms_of
from app.audit.spec import (
    DO,
    FINAL_OUTCOMES,
    UNDO,
    CommandSpec,
    Effect,
    SagaSpec,
    VersionSpec,
    command_id,
    parse_command_id,
)

_REQUIRED_HEADERS = ("ce_id", "ce_type", "ce_source", "ce_causationid")
_WITH_STEP = ("order.rejected", "order.stuck")


def no_duplicates(evidence: Evidence) -> Iterator[Violation]:
    """INV-3 and 25, at any time: commands, timers and outcome ids are unique."""
    for history in evidence.histories:
        first: dict[str, Message] = {}
        for command in history.commands:
            earlier = first.setdefault(command.id, command)
            if earlier is not command:
                content = "the same" if earlier.record.value == command.record.value else "different"
                yield Violation(
                    "INV-3", history.saga_id, f"command {command.id} was sent twice, with {content} content"
                )
        fired = Counter(decision.timer for decision in history.decisions if decision.timer)
        for timer, times in fired.items():
            if times > 1:
                yield Violation("INV-3", history.saga_id, f"timer {timer.name} due {timer.due} fired {times} times")
    # Across all lives of an id: a consumer that drops duplicates by id would miss the second saga's outcome.
    for saga_id, histories in evidence.by_id.items():
        outcome_ids = Counter(outcome.id for history in histories for outcome in history.outcomes)
        for id, times in outcome_ids.items():
            if times > 1:
                yield Violation("INV-25", saga_id, f"{times} outcomes have the id {id}")


def well_formed(evidence: Evidence) -> Iterator[Violation]:
    """INV-25, at any time: the headers of commands and outcomes, and the form of decisions."""
    for history in evidence.histories:
        for message in (*history.commands, *history.outcomes):
            for flaw in _flaws(message, history.saga_id, evidence.spec):
                yield Violation("INV-25", history.saga_id, f"{message.type} {message.id}: {flaw}")
    for decision in evidence.decisions:
        if decision.flaw:
            where = f"saga.events/{decision.record.partition}@{decision.record.offset}"
            yield Violation("INV-25", decision.saga_id, f"{where}: {decision.flaw}")
        elif decision.cause is None and decision.timer is None:
            text = f"decision {decision.seq}: the topic of its cause lacks the prefix"
            yield Violation("INV-25", decision.saga_id, text)


def _flaws(message: Message, saga_id: str, spec: SagaSpec) -> Iterator[str]:
    headers = message.headers
    missing = [name for name in _REQUIRED_HEADERS if not headers.get(name)]
    if missing:
        yield f"it lacks {', '.join(missing)}"
    if headers.get("ce_specversion") != "1.0" or headers.get("content-type") != "application/json":
        yield "its ce_specversion or content-type is not that of the contract"
    if ms_of(headers.get("ce_time")) is None:
        yield "its ce_time is not RFC 3339 in UTC"
    if headers.get("ce_correlationid") != saga_id:
        yield "its ce_correlationid is not the saga's id"
    if message.record.topic in spec.command_topics:
        yield from _command_flaws(message, saga_id, spec)
    elif "ce_idempotencykey" in headers:
        yield "it has an idempotency key, which outcomes don't have"


def _command_flaws(command: Message, saga_id: str, spec: SagaSpec) -> Iterator[str]:
    named, step = parse_command_id(saga_id, command.id), spec.command_topics[command.record.topic]
    if named is None or named[1] < 1:
        yield "its id does not have the form order:step:direction:attempt"
    elif spec.effect_of_command.get(command.type) != named[0] or named[0][0] != step.name:
        yield "its id, type and topic do not belong to the same effect"
    if command.headers.get("ce_idempotencykey") != command.id.rpartition(":")[0]:
        yield "its idempotency key differs from its id without the attempt"


def as_announced(evidence: Evidence) -> Iterator[Violation]:
    """INV-8, 12, 24, 25 and 26, once settled: compares commands and outcomes with the events."""
    for history in evidence.complete_histories():
        yield from _commands(history)
        yield from _outcomes(history)


def _commands(history: SagaHistory) -> Iterator[Violation]:
    sent = {command.id: command for command in history.commands}
    expected = {command.id: command for command in history.replayed.expected_commands}
    for id in sorted(expected.keys() - sent.keys()):
        yield Violation("INV-26", history.saga_id, f"command {id} was announced, but not sent")
    for id in sorted(sent.keys() - expected.keys()):
        yield Violation("INV-26", history.saga_id, f"command {id} was sent, but not announced")
    if history.replayed.phase is Phase.COMPLETED and any(c.id.split(":")[-2:-1] == [UNDO] for c in history.commands):
        yield Violation("INV-8", history.saga_id, "the saga completed, but sent an undo command")
    for id in sorted(sent.keys() & expected.keys()):
        yield from _command(history, sent[id], expected[id])


def _command(history: SagaHistory, command: Message, expected: ExpectedCommand) -> Iterator[Violation]:
    step, name = history.replayed.version.by_name[expected.effect[0]], f"command {command.id}"
    spec = step.undo if expected.effect[1] == UNDO else step.do
    if spec is None or spec.type != command.type:
        yield Violation("INV-26", history.saga_id, f"{name} has the type {command.type}, which its step does not send")
    elif history.order is not None:
        wrong = _differences(command.body, _command_body(history.order, history, spec))
        if wrong:
            yield Violation("INV-12", history.saga_id, f"{name} differs from the order and its results in: {wrong}")
    causation = _causation(expected.decision, history)
    if command.causation != causation:
        text = f"{name} has the causation id {command.causation}, not {causation}"
        yield Violation("INV-25", history.saga_id, text)


def _command_body(order: Object, history: SagaHistory, spec: CommandSpec) -> Object:
    """The body that the saga's version prescribes. Steps without a result, such as skipped ones, add none."""
    known = _results(history)
    results = {name: known[name] for name in spec.results if name in known}
    return {"order_id": history.saga_id, **{name: order.get(name) for name in spec.fields}, **results}


def _results(history: SagaHistory) -> dict[str, str]:
    """The results that participants gave, by field name."""
    specs, steps = history.replayed.version.by_name, history.replayed.steps
    return {specs[name].result: step.result for name, step in steps.items() if step.result is not None}


def _causation(decision: Decision, history: SagaHistory) -> str:
    """The causation id of records that a decision sends: its message, the one that queued the step, or the attempt."""
    if decision.timer is None:
        return decision.cause_id
    queued_by = history.replayed.queued_by.get(decision.seq)
    if queued_by is not None:
        return queued_by
    effect, attempt = timed_effect(decision)
    if attempt:
        return command_id(history.saga_id, effect, attempt)
    return _predecessor(history.replayed.version, history.saga_id, effect)


def _predecessor(version: VersionSpec, saga_id: str, effect: Effect) -> str:
    """The causation id of a first attempt that a timer has queued.

    An undo names the first attempt of its do. A do names that of the last step it needs, or else the order.
    """
    name, direction = effect
    if direction != DO:
        return command_id(saga_id, (name, DO), 1)
    needs = version.by_name[name].needs if name in version.by_name else frozenset()
    earlier = [step.name for step in version.steps if step.name in needs]
    return command_id(saga_id, (earlier[-1], DO), 1) if earlier else saga_id


def _outcomes(history: SagaHistory) -> Iterator[Violation]:
    sent, expected = history.outcomes, history.replayed.expected_outcomes
    if [outcome.type for outcome in sent] != [outcome.type for outcome in expected]:
        announced = ", ".join(outcome.type for outcome in expected) or "no outcome"
        had = ", ".join(outcome.type for outcome in sent) or "no outcome"
        yield Violation("INV-24", history.saga_id, f"the saga sent {had}, but its events announce {announced}")
    final = [outcome.type for outcome in sent if outcome.type in FINAL_OUTCOMES]
    if len(final) > 1:
        yield Violation("INV-24", history.saga_id, f"the saga sent {len(final)} final outcomes")
    for outcome, announcement in zip(sent, expected, strict=False):
        for invariant, flaw in _outcome(history, outcome, announcement):
            yield Violation(invariant, history.saga_id, f"{outcome.type}: {flaw}")


def _outcome(history: SagaHistory, outcome: Message, expected: ExpectedOutcome) -> Iterator[tuple[str, str]]:
    if outcome.type == "order.completed":
        wrong = _differences(outcome.body, {"order_id": history.saga_id, **_results(history)})
        if wrong:
            yield "INV-12", f"it differs from the participants' results in: {wrong}"
    else:
        yield from _reason_and_step(history, outcome, expected)
    causation = _causation(expected.decision, history)
    if outcome.causation != causation:
        yield "INV-25", f"its causation id is {outcome.causation}, not {causation}"


def _reason_and_step(history: SagaHistory, outcome: Message, expected: ExpectedOutcome) -> Iterator[tuple[str, str]]:
    reason, step = outcome.body.get("reason"), outcome.body.get("step")
    if type(reason) is not str:
        yield "INV-25", "it has no reason"
    elif expected.reason != reason:
        yield "INV-24", "it has another reason than its event"
    if outcome.body.keys() - {"order_id", "reason", "step"} or ("step" in outcome.body) > (outcome.type in _WITH_STEP):
        yield "INV-25", "it has more fields than the contract gives it"
    if outcome.type in _WITH_STEP and (type(step) is not str or step not in history.replayed.steps):
        yield "INV-25", "it names no step of the saga"
    elif outcome.type in _WITH_STEP and expected.step != step:
        yield "INV-24", f"it names the step {step}, but its event {expected.step}"


def _differences(body: Object, expected: Object) -> str:
    names = sorted(name for name in body.keys() | expected.keys() if body.get(name) != expected.get(name))
    return ", ".join(names)
