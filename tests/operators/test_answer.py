"""The sentences for decisions that the saga really takes on an operation."""

from dataclasses import replace

import orjson
import pytest

from app.operators.answer import Answer, of_dead_letter, of_decision, of_event
from app.saga.decide import decide
from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Input, Operation
from app.saga.state import NO_SAGA, Progress
from app.saga.verdict import Decision
from app.wire.writer import Origin, input_cause, write
from tests.saga.order_messages import (
    ID,
    ONE_ATTEMPT,
    cancel,
    charged,
    compensate,
    declined,
    failed,
    placed,
    refunded,
    released,
    reserved,
    retry,
    skip,
)
from tests.saga.story import NOON, Story, given
from topologies.order import ORDER

REFUND_STUCK = given(ONE_ATTEMPT, placed(), reserved(), cancel(), failed("payment:undo"))
RELEASE_STUCK = given(ONE_ATTEMPT, placed(), reserved(), declined(), failed("reservation:undo"))
AGAIN_STUCK = REFUND_STUCK.when(retry()).after.moved_by(failed("payment:undo", 2))
PIVOT = replace(ORDER.step("payment"), after=(), kind="pivot", undo=None, undone=None)
SOLE = with_policy(Saga("sole", 1, (PIVOT,)), attempts=1)
SOLE_STUCK = given(SOLE, placed(), failed("payment:do"))


def answer_to(story: Story, operation: Operation) -> Answer:
    """The answer in the decision's events; the same from its record, which is no answer to another message."""
    verdict = story.when(operation).verdict
    assert isinstance(verdict, Decision)
    cause = input_cause(Origin("saga.operations", 0, 1, NOON), operation.id, "saga.retry", ())
    record = write(story.saga, ID, verdict, cause, NOON)[0]
    answer = of_decision(ID, verdict.events)
    assert of_event(ID, operation.id, record.value) == answer
    assert of_event(ID, "another message", record.value) is None
    return answer


@pytest.mark.parametrize(
    ("story", "operation", "sentence"),
    (
        (REFUND_STUCK, retry(), "o-1: payment's undo is requested again (attempt 2)"),
        (AGAIN_STUCK, retry(), "o-1: payment's undo is requested again (attempt 3)"),
        (REFUND_STUCK, skip(), "o-1: payment's undo is taken as done by hand; reservation's undo is requested"),
        (RELEASE_STUCK, skip(), "o-1: reservation's undo is taken as done by hand; rolled back"),
        (given(ORDER, placed()), compensate(), "o-1: rollback started; reservation's undo is requested"),
        (given(ORDER, placed(), reserved()), compensate(), "o-1: rollback started; payment's undo is requested"),
        (SOLE_STUCK, retry(), "o-1: payment is requested again (attempt 2)"),
        (SOLE_STUCK, skip(), "o-1: payment is taken as done by hand; completed"),
        (SOLE_STUCK, compensate(), "o-1: rollback started; rolled back"),
    ),
)
def test_an_operation_that_was_done_is_one_sentence(story: Story, operation: Operation, sentence: str) -> None:
    """For each operation, in each state that allows it."""
    assert answer_to(story, operation) == Answer(sentence, done=True)


@pytest.mark.parametrize(
    ("story", "operation", "needed"),
    (
        (given(ORDER, placed()), retry(), "a saga that is stuck"),
        (given(ORDER, placed(), reserved(), charged()), skip(), "a saga that is stuck"),
        (REFUND_STUCK, compensate(), "a saga that is running"),
        (given(ORDER, placed(), reserved(), cancel(), refunded(), released()), compensate(), "a saga that is running"),
        (given(SOLE, placed()), compensate(), "a saga that can still go back"),
    ),
)
def test_a_refusal_is_one_sentence_with_its_reason(story: Story, operation: Operation, needed: str) -> None:
    """The reason is the one in the event."""
    assert answer_to(story, operation) == Answer(f"o-1 was refused: needs {needed}", done=False)


def fork() -> tuple[Saga, Progress]:
    """Two parallel steps without an undo, both stuck."""
    steps = (PIVOT, *(_retriable(name) for name in ("pack", "bill")))
    saga = with_policy(Saga("fork", 1, steps), attempts=1)
    progress = NO_SAGA
    inputs: tuple[Input, ...] = (placed(), charged(), failed("pack:do"), failed("bill:do"))
    for each in inputs:
        verdict = decide(saga, ID, progress, each, NOON)
        assert isinstance(verdict, Decision), each
        progress = verdict.progress
    return saga, progress


def _retriable(name: str) -> Step:
    do, succeeded, failed, result = Command(f"{name}.do"), f"{name}.done", f"{name}.failed", f"{name}_id"
    return Step(name, do, succeeded, failed, result, kind="retriable", after=("payment",))


@pytest.mark.parametrize(
    ("operation", "with_capacity", "sentence"),
    (
        (retry(), ("pack", "bill"), "o-1: pack is requested again (attempt 2); bill is requested again (attempt 2)"),
        (
            retry(),
            ("bill",),
            "o-1: bill is requested again (attempt 2); pack is queued until its participant has capacity",
        ),
        (retry(step="bill"), ("pack", "bill"), "o-1: bill is requested again (attempt 2)"),
        (skip(step="pack"), (), "o-1: the stuck command of pack is taken as done by hand"),
    ),
)
def test_parallel_steps_are_all_named(operation: Operation, with_capacity: tuple[str, ...], sentence: str) -> None:
    """Each step that was stuck, queued ones too."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, operation, NOON, lambda step: step in with_capacity)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer(sentence, done=True)


def test_the_last_skip_completes_the_order() -> None:
    """After each stuck step was skipped by its name."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, skip(step="pack"), NOON)
    assert isinstance(verdict, Decision)
    verdict = decide(saga, ID, verdict.progress, skip(step="bill"), NOON)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer("o-1: bill is taken as done by hand; completed", done=True)


@pytest.mark.parametrize(
    ("operation", "refusal"),
    (
        (skip(), "needs the name of one step, as several are stuck: pack, bill"),
        (skip(step="payment"), "needs payment to be stuck"),
        (retry(step="payment"), "needs payment to be stuck"),
    ),
)
def test_an_ambiguous_or_wrong_step_is_refused(operation: Operation, refusal: str) -> None:
    """The sentence has the names to choose from."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, operation, NOON)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer(f"o-1 was refused: {refusal}", done=False)


def test_a_skip_without_consequences_says_no_more_than_its_events() -> None:
    """The next undo is queued, so that no event shows the direction of the skipped command."""
    verdict = decide(ONE_ATTEMPT, ID, REFUND_STUCK.progress, skip(), NOON, lambda _: False)
    assert isinstance(verdict, Decision)
    sentence = "o-1: the stuck command of payment is taken as done by hand"
    assert of_decision(ID, verdict.events) == Answer(sentence, done=True)


def test_an_operation_on_an_unknown_order_is_a_dead_letter() -> None:
    """The dead letter is found by the operation's message id."""
    headers = [("ce_id", b"m-1"), ("__saga.errors.reason", b"unknown_order"), ("__saga.errors.message", b"x")]
    found = of_dead_letter(ID, "m-1", headers)
    assert found == Answer(
        "o-1 is not known: no order of this id was placed, or it ended long ago "
        "(the operation is among the dead letters)",
        done=False,
    )
    assert of_dead_letter(ID, "m-2", headers) is None
    assert of_dead_letter(ID, "m-1", ()) is None


def test_any_other_dead_letter_is_one_sentence_with_its_reason() -> None:
    """Reason code and text are those of the dead letter; bytes that are no UTF-8 are replaced."""
    headers = [("ce_id", b"m-1"), ("__saga.errors.reason", b"invalid"), ("__saga.errors.message", b"no \xff good")]
    found = of_dead_letter(ID, "m-1", headers)
    assert found is not None
    assert not found.done
    assert found.sentence.endswith("(invalid, no \N{REPLACEMENT CHARACTER} good)")


@pytest.mark.parametrize(
    "value",
    (
        None,
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"cause":7}',
        b'{"cause":{"timer":"x"},"events":[]}',
        b'{"cause":{"id":"m-1"}}',
        b'{"cause":{"id":"m-1"},"events":[]}',
        b'{"cause":{"id":"m-1"},"events":[7]}',
        b'{"cause":{"id":"m-1"},"events":[{"type":"saga.operated","operation":"saga.retry"}]}',
    ),
)
def test_a_record_that_is_no_decision_is_no_answer(value: bytes | None) -> None:
    """A foreign record in the topic is skipped."""
    assert of_event(ID, "m-1", value) is None


def test_an_operation_of_a_later_version_is_answered() -> None:
    """Its event says that it was done, although this version doesn't know the operation."""
    event = {"type": "saga.operated", "operation": "saga.pause", "operator": "olga", "reason": "x"}
    value = orjson.dumps({"cause": {"id": "m-1"}, "events": [event]})
    assert of_event(ID, "m-1", value) == Answer("o-1: the operation was done", done=True)
