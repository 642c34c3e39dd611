"""Start positions: where to go on, and when to refuse a start."""

import pytest

from app.engine.assignment.start_offsets import NONE_COMMITTED, Bounds, start_positions
from app.engine.errors import UnsafeStart

STATE, EVENTS = "saga.state", "saga.events"
INPUTS = ("order.requests", "payment.replies")
Offsets = dict[tuple[str, int], int]


def bounds_of(partition: int = 0, *, state: int = 0, events: int = 0, **inputs: tuple[int, int]) -> Bounds:
    """First offset and end of each partition: its own logs begin at 0, inputs are empty unless given."""
    given = {name.replace("_", "."): bound for name, bound in inputs.items()}
    own = {STATE: (0, state), EVENTS: (0, events), **dict.fromkeys(INPUTS, (0, 0)), **given}
    return {(topic, partition): bound for topic, bound in own.items()}


def committed(*offsets: int, partition: int = 0) -> Offsets:
    """The committed offset of each input."""
    return {(topic, partition): offset for topic, offset in zip(INPUTS, offsets, strict=True)}


def positions(group: Offsets, bounds: Bounds, *, has_events: bool = True) -> Offsets:
    """The start positions; the events have committed records unless said otherwise."""
    return start_positions(group, bounds, STATE, EVENTS, lambda _: has_events)


def test_fresh_topics_are_read_from_their_beginning() -> None:
    """A group that never committed, and nothing decided yet: every order that exists already counts."""
    found = positions(committed(NONE_COMMITTED, NONE_COMMITTED), bounds_of(order_requests=(3, 9)))
    assert found == {("order.requests", 0): 3, ("payment.replies", 0): 0}


def test_aborted_events_are_no_history() -> None:
    """A first batch that was aborted leaves offsets, but no decision."""
    bounds = bounds_of(events=5, order_requests=(0, 9))
    assert positions(committed(0, 0), bounds, has_events=False) == committed(0, 0)
    with pytest.raises(UnsafeStart, match="the state was lost"):
        positions(committed(0, 0), bounds)


def test_a_group_goes_on_at_its_committed_offsets() -> None:
    """Committed offsets within the log are the start positions, its two ends included."""
    bounds = bounds_of(state=8, events=8, order_requests=(3, 9), payment_replies=(5, 5))
    assert positions(committed(9, 5), bounds) == committed(9, 5)
    assert positions(committed(3, 5), bounds) == committed(3, 5)


def test_partitions_are_checked_one_by_one() -> None:
    """A partition that was never used does not cast doubt on the offsets of another one."""
    group = {**committed(4, 2), **committed(NONE_COMMITTED, NONE_COMMITTED, partition=1)}
    bounds = {
        **bounds_of(state=7, order_requests=(0, 4), payment_replies=(0, 2)),
        **bounds_of(1, order_requests=(0, 6)),
    }
    assert positions(group, bounds) == {**committed(4, 2), **committed(0, 0, partition=1)}


def test_a_new_empty_input_is_read_from_its_beginning() -> None:
    """A topology with a new input reads it from its beginning, as long as the input has no records."""
    assert positions(committed(4, NONE_COMMITTED), bounds_of(state=7, order_requests=(0, 4))) == committed(4, 0)


@pytest.mark.parametrize(
    ("group", "bounds", "sentence"),
    (
        pytest.param(
            committed(NONE_COMMITTED, NONE_COMMITTED),
            bounds_of(state=1),
            r"saga\.state\[0\] has state, but the group has no committed offset for any input of partition 0: "
            "restore the group's offsets, or use another topic prefix",
            id="the group was deleted",
        ),
        pytest.param(
            committed(4, NONE_COMMITTED),
            bounds_of(state=1, order_requests=(0, 4), payment_replies=(0, 2)),
            r"payment\.replies\[0\] has records, but the group has no committed offset for it.*: commit one by hand",
            id="one offset was deleted",
        ),
        pytest.param(
            committed(4, 2),
            bounds_of(events=5, order_requests=(0, 4), payment_replies=(0, 2)),
            r"saga\.events\[0\] has decisions, but saga\.state\[0\] is empty: the state was lost",
            id="the changelog was re-created",
        ),
        pytest.param(
            committed(NONE_COMMITTED, NONE_COMMITTED),
            bounds_of(events=5),
            r"saga\.events\[0\] has decisions, but saga\.state\[0\] is empty",
            id="changelog and group were re-created",
        ),
        pytest.param(
            committed(4, 2),
            bounds_of(state=9, order_requests=(5, 9), payment_replies=(0, 2)),
            r"order\.requests\[0\] was deleted up to 5, but the group has read it up to 4 only: records are lost",
            id="retention overtook the group",
        ),
        pytest.param(
            committed(4, 2),
            bounds_of(state=9, order_requests=(0, 3), payment_replies=(0, 2)),
            r"order\.requests\[0\] ends at 3, but the group has read it up to 4: the topic was re-created",
            id="the input was re-created",
        ),
    ),
)
def test_an_unsafe_start_is_refused(group: Offsets, bounds: Bounds, sentence: str) -> None:
    """The sentence says what is wrong and what to do."""
    with pytest.raises(UnsafeStart, match=sentence):
        positions(group, bounds)
