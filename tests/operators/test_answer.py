"""Sentences from what the saga really decides on an operation."""

from dataclasses import replace

import orjson
import pytest

from app.operators.answer import Answer, of_dead_letter, of_decision, of_event
from app.saga.decide import decide
from app.saga.definition import Command, Saga, Step, with_policy
from app.saga.messages import Input, Operation
from app.saga.state import UNKNOWN, Progress
from app.saga.verdict import Decision
from app.wire.writer import Origin, input_cause, write
from tests.saga.given import NOON, Story, given
from tests.saga.words import (
    HASTY,
    ID,
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
from topologies.order import ORDER

REFUND_STUCK = given(HASTY, placed(), reserved(), cancel(), failed("payment:undo"))
RELEASE_STUCK = given(HASTY, placed(), reserved(), declined(), failed("reservation:undo"))
AGAIN_STUCK = REFUND_STUCK.when(retry()).after.lived(failed("payment:undo", 2))
PIVOT = replace(ORDER.step("payment"), after=(), kind="pivot", undo=None, undone=None)
SOLE = with_policy(Saga("sole", 1, (PIVOT,)), attempts=1)
SOLE_STUCK = given(SOLE, placed(), failed("payment:do"))


def told(story: Story, wish: Operation) -> Answer:
    """The answer in the decision, and in the record of it, which is no answer to another message."""
    verdict = story.when(wish).verdict
    assert isinstance(verdict, Decision)
    cause = input_cause(Origin("saga.operations", 0, 1, NOON), wish.id, "saga.retry", ())
    record = write(story.saga, ID, verdict, cause, NOON)[0]
    answer = of_decision(ID, verdict.events)
    assert of_event(ID, wish.id, record.value) == answer
    assert of_event(ID, "another message", record.value) is None
    return answer


@pytest.mark.parametrize(
    ("story", "wish", "sentence"),
    (
        (REFUND_STUCK, retry(), "o-1: payment's undo is asked again (attempt 2)"),
        (AGAIN_STUCK, retry(), "o-1: payment's undo is asked again (attempt 3)"),
        (REFUND_STUCK, skip(), "o-1: payment's undo is taken as done by hand; reservation's undo is asked"),
        (RELEASE_STUCK, skip(), "o-1: reservation's undo is taken as done by hand; rolled back"),
        (given(ORDER, placed()), compensate(), "o-1 goes back; reservation's undo is asked"),
        (given(ORDER, placed(), reserved()), compensate(), "o-1 goes back; payment's undo is asked"),
        (SOLE_STUCK, retry(), "o-1: payment is asked again (attempt 2)"),
        (SOLE_STUCK, skip(), "o-1: payment is taken as done by hand; completed"),
        (SOLE_STUCK, compensate(), "o-1 goes back; rolled back"),
    ),
)
def test_what_was_done_is_told_in_one_sentence(story: Story, wish: Operation, sentence: str) -> None:
    """For each operation wherever it makes sense."""
    assert told(story, wish) == Answer(sentence, done=True)


@pytest.mark.parametrize(
    ("story", "wish", "needed"),
    (
        (given(ORDER, placed()), retry(), "a saga that is stuck"),
        (given(ORDER, placed(), reserved(), charged()), skip(), "a saga that is stuck"),
        (REFUND_STUCK, compensate(), "a saga that is running"),
        (given(ORDER, placed(), reserved(), cancel(), refunded(), released()), compensate(), "a saga that is running"),
        (given(SOLE, placed()), compensate(), "a saga that can still go back"),
    ),
)
def test_what_was_refused_is_told_with_the_reason(story: Story, wish: Operation, needed: str) -> None:
    """As the saga gives it."""
    assert told(story, wish) == Answer(f"o-1 was refused: needs {needed}", done=False)


def fork() -> tuple[Saga, Progress]:
    """Two steps side by side, which can't be undone, both stuck."""
    steps = (PIVOT, *(_retriable(name) for name in ("pack", "bill")))
    saga = with_policy(Saga("fork", 1, steps), attempts=1)
    progress = UNKNOWN
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
    ("wish", "room", "sentence"),
    (
        (retry(), ("pack", "bill"), "o-1: pack is asked again (attempt 2); bill is asked again (attempt 2)"),
        (
            retry(),
            ("bill",),
            "o-1: bill is asked again (attempt 2); pack is asked again as soon as its participant has room",
        ),
        (retry(step="bill"), ("pack", "bill"), "o-1: bill is asked again (attempt 2)"),
        (skip(step="pack"), (), "o-1: what is stuck in pack is taken as done by hand"),
    ),
)
def test_steps_side_by_side_are_all_told(wish: Operation, room: tuple[str, ...], sentence: str) -> None:
    """Each that was stuck, those too that wait for room."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, wish, NOON, lambda step: step in room)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer(sentence, done=True)


def test_the_last_of_them_ends_the_order() -> None:
    """Once each was named."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, skip(step="pack"), NOON)
    assert isinstance(verdict, Decision)
    verdict = decide(saga, ID, verdict.progress, skip(step="bill"), NOON)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer("o-1: bill is taken as done by hand; completed", done=True)


@pytest.mark.parametrize(
    ("wish", "refusal"),
    (
        (skip(), "needs the name of one step, as several are stuck: pack, bill"),
        (skip(step="payment"), "needs payment to be stuck"),
        (retry(step="payment"), "needs payment to be stuck"),
    ),
)
def test_which_step_is_meant_is_asked_for(wish: Operation, refusal: str) -> None:
    """The names to choose from stand in the sentence."""
    saga, progress = fork()
    verdict = decide(saga, ID, progress, wish, NOON)
    assert isinstance(verdict, Decision)
    assert of_decision(ID, verdict.events) == Answer(f"o-1 was refused: {refusal}", done=False)


def test_what_is_taken_as_done_may_have_to_wait() -> None:
    """When nothing follows at once the sentence doesn't say more than the events do."""
    verdict = decide(HASTY, ID, REFUND_STUCK.progress, skip(), NOON, lambda _: False)
    assert isinstance(verdict, Decision)
    sentence = "o-1: what is stuck in payment is taken as done by hand"
    assert of_decision(ID, verdict.events) == Answer(sentence, done=True)


def test_an_order_nobody_knows_is_told() -> None:
    """The operation is a dead letter, found by its own id."""
    headers = [("ce_id", b"m-1"), ("__saga.errors.reason", b"unknown_order"), ("__saga.errors.message", b"x")]
    found = of_dead_letter(ID, "m-1", headers)
    assert found == Answer(
        "o-1 is not known: no order of this id was placed, or it ended long ago "
        "(the operation is among the dead letters)",
        done=False,
    )
    assert of_dead_letter(ID, "m-2", headers) is None
    assert of_dead_letter(ID, "m-1", ()) is None


def test_any_other_dead_letter_is_told_with_its_reason() -> None:
    """As the orchestrator wrote it."""
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
def test_what_is_no_decision_is_no_answer(value: bytes | None) -> None:
    """Whatever somebody wrote into the topic, it is passed over."""
    assert of_event(ID, "m-1", value) is None


def test_an_operation_of_a_later_version_is_told() -> None:
    """That it was done can be seen without knowing it."""
    event = {"type": "saga.operated", "operation": "saga.pause", "operator": "olga", "reason": "x"}
    value = orjson.dumps({"cause": {"id": "m-1"}, "events": [event]})
    assert of_event(ID, "m-1", value) == Answer("o-1: the operation was done", done=True)
