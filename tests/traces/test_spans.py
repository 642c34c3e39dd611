"""The spans of a saga, made from its decisions: whole traces only, with true times, the same every time."""

from typing import Any

import orjson

from app.saga.message_ids import command_id
from app.saga.messages import TimerDue
from app.traces.lives import Lives
from app.traces.spans import Span
from app.wire.trace_context import root_span_id, span_id, trace_id
from app.wire.writer import Origin, input_cause, timer_cause, write
from tests.saga.order_messages import ID, TWO_ATTEMPTS, cancel, charged, declined, failed, refunded, released, reserved
from tests.saga.story import NEXT_TIMER, NOON, SECOND, StoryInput
from tests.wire.stories import PLACED, STORIES, TRACED, decisions


def history(*inputs: StoryInput) -> list[dict[str, Any]]:
    """The records of the history that these inputs lead to."""
    documents = []
    for decision, given, at_ms in decisions(*inputs, saga=TWO_ATTEMPTS):
        timed = isinstance(given, TimerDue)
        cause = (
            timer_cause("payment:do:1:timeout", at_ms, "c")
            if timed
            else input_cause(Origin("t", 0, 0, 0), "m", "t", ())
        )
        documents.append(orjson.loads(write(TWO_ATTEMPTS, ID, decision, cause, at_ms)[0].value or b""))
    return documents


def spans_of(*inputs: StoryInput) -> list[Span]:
    """All spans of a saga with these inputs."""
    lives = Lives()
    return [span for offset, one in enumerate(history(*inputs)) for span in lives.decided(offset, one)]


def test_a_completed_order_is_one_trace() -> None:
    """A root from the order to its end, a span for each command, and one for the outcome; none is an orphan."""
    root, *children = spans_of(PLACED, reserved(), charged())
    life, parent = trace_id(ID, NOON, None), root_span_id(ID, NOON)
    assert (root.name, root.trace_id, root.span_id, root.parent_id, root.failed) == (
        "saga order",
        life,
        parent,
        None,
        False,
    )
    assert (root.start_ms, root.attributes["saga.end"]) == (NOON, "completed")
    assert [(span.name, span.kind) for span in children] == [
        ("reservation do", "client"),
        ("payment do", "client"),
        ("order.completed", "producer"),
    ]
    assert {(span.trace_id, span.parent_id) for span in children} == {(life, parent)}
    assert children[0].span_id == span_id(command_id(ID, "reservation", "do", 1))
    assert (children[0].start_ms, children[0].end_ms) == (NOON, NOON + SECOND)
    assert children[0].attributes == {"step": "reservation", "direction": "do", "attempt": 1, "outcome": "succeeded"}


def test_a_saga_under_way_has_no_spans_yet() -> None:
    """They come with their root; until then a restart begins at its start."""
    lives = Lives()
    documents = history(PLACED, reserved(), charged())
    assert [bool(lives.decided(7 + offset, one)) for offset, one in enumerate(documents[:-1])] == [False, False]
    assert (lives.restart, lives.under_way) == (7, 1)
    assert lives.decided(9, documents[-1])
    assert (lives.restart, lives.under_way) == (10, 0)


def test_a_saga_that_began_before_the_first_record_is_left_out() -> None:
    """Its spans would be orphans."""
    lives = Lives()
    assert [lives.decided(3, one) for one in history(PLACED, reserved(), charged())[1:]] == [[], []]
    assert lives.restart == 4


def test_each_attempt_is_a_span_with_its_outcome() -> None:
    """Time-outs and failures are errors; what a rollback no longer waits for is abandoned."""
    inputs = (PLACED, failed("reservation:do"), NEXT_TIMER, reserved(2), cancel(), refunded(), released())
    root, *children = spans_of(*inputs)
    found = [
        (span.name, span.attributes.get("attempt"), span.attributes.get("outcome"), span.failed) for span in children
    ]
    assert found == [
        ("reservation do", 1, "failed", True),
        ("reservation do", 2, "succeeded", False),
        ("payment do", 1, "abandoned", False),
        ("payment undo", 1, "succeeded", False),
        ("reservation undo", 1, "succeeded", False),
        ("order.cancelled", None, None, False),
    ]
    assert root.failed
    assert "saga.cancel.requested" in [event.name for event in root.events]


def test_an_order_with_a_trace_goes_on_in_it() -> None:
    """The span of the shop is the parent of the root. A trace that is not sampled is not sent."""
    root, *children = spans_of(TRACED, reserved(), declined(), released())
    assert (root.trace_id, root.parent_id) == ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    assert {span.trace_id for span in children} == {root.trace_id}
    lives, documents = Lives(), history(TRACED, reserved(), declined(), released())
    documents[0]["events"][0]["trace"] = documents[0]["events"][0]["trace"][:-2] + "00"
    assert [lives.decided(offset, one) for offset, one in enumerate(documents)] == [[]] * 4


def test_every_story_gives_whole_traces_without_customer_data() -> None:
    """Each parent is in the trace, ids are unique, and twice the same; no reason and no operator is in them."""
    for story in STORIES.values():
        spans = spans_of(*story)
        assert spans == spans_of(*story)
        ids = {span.span_id for span in spans}
        assert len(ids) == len(spans)
        assert {span.parent_id for span in spans[1:]} <= ids
        assert all(span.start_ms <= span.end_ms for span in spans)
        assert not any(text in repr(spans) for text in ("olga", "changed my mind", "no funds", "ann"))
