"""The judge is tested with bugs: each one distorts the results of the processor, and breaks its rule."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.engine.processor import KeyState, Record, SagaProcessor
from app.wire.writer import ERRORS, OutputRecord
from tests.fuzz.conftest import JudgedHarness
from tests.fuzz.harness import UNKNOWN_ORDER, Harness
from tests.fuzz.judge import Judge, Kind
from tests.fuzz.sagas import record
from topologies.order import ORDER

Outputs = list[OutputRecord]
Distortion = Callable[[Outputs, KeyState], Outputs]


def with_distortion(distort: Distortion) -> type[SagaProcessor]:
    """A processor whose results are distorted."""

    class Distorted(SagaProcessor):
        """Correct except for its results."""

        def on_record(self, topic: str, record: Record, state: KeyState, at_ms: int) -> Outputs:
            """The distorted outputs of a record."""
            return distort(super().on_record(topic, record, state, at_ms), state)

    return Distorted


def on(topic: str, change: Callable[[OutputRecord], OutputRecord]) -> Distortion:
    """Changes each output for a topic."""
    return lambda outputs, _: [change(out) if out.topic == topic else out for out in outputs]


def is_dead_letter(outputs: Outputs) -> bool:
    """Whether the result is a dead letter."""
    return bool(outputs) and outputs[0].topic == "saga.dead-letters"


def rewrites_state(outputs: Outputs, state: KeyState) -> Outputs:
    """Writes the state, whatever the result is."""
    before = state.get()
    if before is not None:
        state.set(before)
    return outputs


def writes_before_a_dead_letter(outputs: Outputs, state: KeyState) -> Outputs:
    """Writes the state although the record is invalid."""
    return rewrites_state(outputs, state) if is_dead_letter(outputs) else outputs


def writes_without_outputs(outputs: Outputs, state: KeyState) -> Outputs:
    """Writes the state although the record has no outputs."""
    return outputs or rewrites_state(outputs, state)


def takes_a_slot_before_a_dead_letter(outputs: Outputs, state: KeyState) -> Outputs:
    """Takes a slot for a command although the record is invalid."""
    if is_dead_letter(outputs):
        state.admission.try_acquire("payment")
    return outputs


def deletes_what_it_decided(outputs: Outputs, state: KeyState) -> Outputs:
    """Deletes the saga that it has just decided."""
    if outputs and outputs[0].topic == "saga.events":
        state.forget()
    return outputs


TRUNCATED = ((f"{ERRORS}truncated", b"true"), (f"{ERRORS}sha256", b"0"))
DEAD_LETTERS, REQUESTS, COMMANDS = "saga.dead-letters", "order.requests", "payment.commands"
BUGS: tuple[tuple[str, Distortion], ...] = (
    ("a dead letter changes no state", writes_before_a_dead_letter),
    ("a dead letter takes no slot", takes_a_slot_before_a_dead_letter),
    ("a record without outputs changes no state", writes_without_outputs),
    ("the state is the fold of the events, and is written once", deletes_what_it_decided),
    ("there is no other output", lambda outputs, _: outputs * 2 if is_dead_letter(outputs) else outputs),
    ("a dead letter has key and value unchanged", on(DEAD_LETTERS, lambda out: out._replace(value=b""))),
    (
        "a dead letter has the headers unchanged",
        on(DEAD_LETTERS, lambda out: out._replace(headers=[("x", b""), *out.headers])),
    ),
    ("a dead letter stays in its partition", on(DEAD_LETTERS, lambda out: out._replace(partition=None))),
    (
        "a dead letter is marked as truncated if it is, and only then",
        on(DEAD_LETTERS, lambda out: out._replace(headers=[*out.headers, *TRUNCATED])),
    ),
    ("a misrouted record goes to its key's partition", on(REQUESTS, lambda out: out._replace(partition=5))),
    ("a misrouted record is sent on unchanged", on(REQUESTS, lambda out: out._replace(headers=()))),
    (
        "a decision begins with its events",
        lambda outputs, _: outputs if is_dead_letter(outputs) else outputs[1:] + outputs[:1],
    ),
    ("all outputs are of one order", on(COMMANDS, lambda out: out._replace(key=b"x"))),
    ("payment.charge is valid by its schema", on(COMMANDS, lambda out: out._replace(value=b"{}"))),
    (
        "the headers of payment.charge are valid",
        on(COMMANDS, lambda out: out._replace(headers=[*out.headers[:4], out.headers[2]])),
    ),
    ("too large to be sent", on(COMMANDS, lambda out: out._replace(value=b" " * 1_000_000))),
)


def trials(harness: Harness) -> Iterator[tuple[str, Record]]:
    """All valid messages, each also truncated, and those for an unknown order also in a wrong partition."""
    for order_id in (UNKNOWN_ORDER, *harness.sagas):
        for message in harness.messages_for(order_id):
            one = record(order_id, message)
            yield message.topic, one
            yield message.topic, replace(one, value=(one.value or b"")[:-1])
            if order_id == UNKNOWN_ORDER:
                yield message.topic, replace(one, origin=replace(one.origin, partition=1 - one.origin.partition))


def kinds_of_all_trials(harness: Harness, judge: Judge, *, by_schema: bool) -> set[Kind]:
    """The kinds of all trials' results; each trial finds the stored sagas unchanged."""
    kinds: set[Kind] = set()
    for topic, one in trials(harness):
        kinds.add(judge.judge(harness.process(topic, one), by_schema=by_schema))
        harness.reset()
    return kinds


def test_valid_messages_break_no_rule(harnesses: tuple[JudgedHarness, ...]) -> None:
    """Valid messages for sagas in every state: every kind of result occurs, and no rule is broken."""
    for harness, judge in harnesses:
        assert kinds_of_all_trials(harness, judge, by_schema=False) == {"dead letter", "rerouted", "nothing", "decided"}


@pytest.mark.parametrize(("rule", "bug"), BUGS)
def test_a_bug_is_found(tmp_path: Path, rule: str, bug: Distortion) -> None:
    """Some valid or truncated message breaks the rule of the bug."""
    with Harness(ORDER, tmp_path, with_distortion(bug)) as harness, pytest.raises(AssertionError, match=rule):
        kinds_of_all_trials(harness, Judge(ORDER), by_schema=True)
