"""Where to begin to read, and when rather not to begin at all."""

import pytest

from app.engine.offsets import NONE_COMMITTED, Bounds, UnsafeStart, starts

STATE, EVENTS = "saga.state", "saga.events"
INPUTS = ("order.requests", "payment.replies")


def limits(partition: int = 0, *, state: int = 0, events: int = 0, **inputs: tuple[int, int]) -> Bounds:
    """First offset and end of all that a partition has: logs of its own from 0, inputs empty unless given."""
    given = {name.replace("_", "."): limit for name, limit in inputs.items()}
    own = {STATE: (0, state), EVENTS: (0, events), **dict.fromkeys(INPUTS, (0, 0)), **given}
    return {(topic, partition): limit for topic, limit in own.items()}


def committed(*offsets: int, partition: int = 0) -> dict[tuple[str, int], int]:
    """What the group committed of each input."""
    return {(topic, partition): offset for topic, offset in zip(INPUTS, offsets, strict=True)}


def begin(group: dict[tuple[str, int], int], bounds: Bounds, *, decided: bool = True) -> dict[tuple[str, int], int]:
    """Where it begins; events are decisions that were committed, unless said otherwise."""
    return starts(group, bounds, STATE, EVENTS, lambda _: decided)


def test_fresh_topics_are_read_from_their_beginning() -> None:
    """A group that never committed, and nothing decided yet: every order that is there already counts."""
    found = begin(committed(NONE_COMMITTED, NONE_COMMITTED), limits(order_requests=(3, 9)))
    assert found == {("order.requests", 0): 3, ("payment.replies", 0): 0}


def test_events_of_which_none_was_committed_are_no_history() -> None:
    """A first batch that was aborted leaves offsets, but nothing was decided in it."""
    bounds = limits(events=5, order_requests=(0, 9))
    assert begin(committed(0, 0), bounds, decided=False) == committed(0, 0)
    with pytest.raises(UnsafeStart, match="the state was lost"):
        begin(committed(0, 0), bounds)


def test_a_group_goes_on_where_it_was() -> None:
    """Committed offsets within the log are taken as they are, its two ends included."""
    bounds = limits(state=8, events=8, order_requests=(3, 9), payment_replies=(5, 5))
    assert begin(committed(9, 5), bounds) == committed(9, 5)
    assert begin(committed(3, 5), bounds) == committed(3, 5)


def test_partitions_are_judged_one_by_one() -> None:
    """One that was never used does not make the group's offsets of another one doubtful."""
    group = {**committed(4, 2), **committed(NONE_COMMITTED, NONE_COMMITTED, partition=1)}
    bounds = {**limits(state=7, order_requests=(0, 4), payment_replies=(0, 2)), **limits(1, order_requests=(0, 6))}
    assert begin(group, bounds) == {**committed(4, 2), **committed(0, 0, partition=1)}


def test_a_new_empty_input_is_read_from_its_beginning() -> None:
    """A topology that got one more input starts with it, as long as nothing can have been missed."""
    assert begin(committed(4, NONE_COMMITTED), limits(state=7, order_requests=(0, 4))) == committed(4, 0)


@pytest.mark.parametrize(
    ("group", "bounds", "sentence"),
    (
        pytest.param(
            committed(NONE_COMMITTED, NONE_COMMITTED),
            limits(state=1),
            r"saga\.state\[0\] has state, but the group has no committed offset for any input of partition 0: "
            "give the group its offsets back, or begin with another prefix",
            id="the group was deleted",
        ),
        pytest.param(
            committed(4, NONE_COMMITTED),
            limits(state=1, order_requests=(0, 4), payment_replies=(0, 2)),
            r"payment\.replies\[0\] has records, but the group has no committed offset for it.*: set it by hand",
            id="one offset was deleted",
        ),
        pytest.param(
            committed(4, 2),
            limits(events=5, order_requests=(0, 4), payment_replies=(0, 2)),
            r"saga\.events\[0\] has decisions, but saga\.state\[0\] is empty: the state was lost",
            id="the changelog was made anew",
        ),
        pytest.param(
            committed(NONE_COMMITTED, NONE_COMMITTED),
            limits(events=5),
            r"saga\.events\[0\] has decisions, but saga\.state\[0\] is empty",
            id="changelog and group were made anew",
        ),
        pytest.param(
            committed(4, 2),
            limits(state=9, order_requests=(5, 9), payment_replies=(0, 2)),
            r"order\.requests\[0\] was deleted up to 5, but the group has read it up to 4 only: records are lost",
            id="retention overtook the group",
        ),
        pytest.param(
            committed(4, 2),
            limits(state=9, order_requests=(0, 3), payment_replies=(0, 2)),
            r"order\.requests\[0\] ends at 3, but the group has read it up to 4: the topic was made anew",
            id="the input was made anew",
        ),
    ),
)
def test_an_unsafe_start_is_refused(group: dict[tuple[str, int], int], bounds: Bounds, sentence: str) -> None:
    """Rather than lose or repeat decisions, it says what is wrong and what to do."""
    with pytest.raises(UnsafeStart, match=sentence):
        begin(group, bounds)
