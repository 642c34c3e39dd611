"""Stories of steps that run at the same time: begun together, joined, and undone together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.saga.definition import Saga
from app.saga.messages import Operation, RoomFor, TimerDue
from app.saga.state import Asked, Compensating, Completed, Pausing, RolledBack, Running, Stuck, Waiting
from app.saga.tries import TIMED_OUT, TOO_LATE
from app.saga.verdict import Decision
from app.wire.envelope import Headers
from app.wire.writer import timer_cause, write
from tests.saga.given import NOON, WAITED, Crowded, Expected, Story, given, without
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.words import (
    ID,
    cancel,
    order_cancelled,
    order_rejected,
    order_stuck,
    placed,
    retry,
    skip,
)

STOCK, COUPON = step("stock"), step("coupon", ())
SIGN = step("sign", ("stock", "coupon"), result_fields=("stock_id", "coupon_id"))
PAIR = Saga("pair", 1, (STOCK, COUPON))
JOINED = Saga("joined", 1, (STOCK, COUPON, SIGN))
HASTY = Saga("hasty", 1, (step("stock", attempts=1), step("coupon", (), attempts=1)))
LIMITED = replace(JOINED, deadline_ms=20_000)
BOTH_STUCK = (placed(), cancel(), broke("stock", "undo", for_good=True), broke("coupon", "undo", for_good=True))
ASKED = "saga.compensation.requested"


def legs(story: Story) -> dict[str, type]:
    """Where each step under way is."""
    return {leg.step: type(leg) for leg in story.state.legs}


def operated(word: str, *steps: str) -> Expected:
    """The event of an operator who sees to these steps."""
    reason = {"retry": retry().reason, "skip": skip().reason}[word]
    operation = f"saga.{word}"
    return {"type": "saga.operated", "operation": operation, "operator": "olga", "reason": reason, "steps": [*steps]}


# forward


def test_two_steps_begin_at_once() -> None:
    """Neither comes after the other, so both are asked for by the decision that starts the saga."""
    story = given(PAIR).when(placed()).then(commands=[do("stock"), do("coupon")], state=Running)
    assert legs(story) == {"stock": Asked, "coupon": Asked}


@pytest.mark.parametrize(("first", "second"), (("stock", "coupon"), ("coupon", "stock")))
def test_both_must_be_done(first: str, second: str) -> None:
    """The first success sends nothing, the second one completes the order, in whatever order they come."""
    story = given(PAIR, placed()).when(done(first)).then(events=["saga.step.succeeded"], state=Running)
    story.when(done(second)).then(outcome=completed("stock", "coupon"), state=Completed)


@pytest.mark.parametrize(("first", "second"), (("stock", "coupon"), ("coupon", "stock")))
def test_a_join_waits_for_both(first: str, second: str) -> None:
    """The step after both is asked for once both are done, and carries the results of both."""
    story = given(JOINED, placed(), done(first))
    assert legs(story) == {second: Asked}
    joined = story.when(done(second)).then(commands=[do("sign", stock_id="stock-1", coupon_id="coupon-1")])
    joined.when(done("sign")).then(outcome=completed("stock", "coupon", "sign"), state=Completed)


def test_branches_run_apart_until_they_join() -> None:
    """What comes after one branch begins though the other one is not done, and the join after the longest way."""
    saga = Saga("long", 1, (STOCK, step("pack", ("stock",)), COUPON, step("sign", ("pack", "coupon"))))
    story = given(saga, placed()).when(done("stock")).then(commands=[do("pack")])
    story = story.when(done("coupon")).then(events=["saga.step.succeeded"])
    assert legs(story) == {"pack": Asked}
    story.when(done("pack")).then(commands=[do("sign")])


def test_a_fork_begins_everything_behind_it() -> None:
    """Steps after the same step are asked for together, in the order in which they are written."""
    saga = Saga("fork", 1, (STOCK, step("coupon", ("stock",)), step("gift", ("stock",))))
    given(saga, placed()).when(done("stock")).then(commands=[do("coupon"), do("gift")])


def test_a_failure_of_one_leaves_the_other_alone() -> None:
    """Each has attempts, pauses and time-outs of its own."""
    story = given(PAIR, placed()).when(broke("stock")).then(events=["saga.step.failed"], state=Running)
    assert legs(story) == {"stock": Pausing, "coupon": Asked}
    story = story.lived(done("coupon")).when(WAITED).then(commands=[do("stock", 2)])
    story.when(done("stock", 2)).then(outcome=completed("stock", "coupon"), state=Completed)


def test_the_earlier_of_two_times_comes_first() -> None:
    """Time is told of the one that is due; the other one goes on waiting."""
    saga = Saga("uneven", 1, (step("stock", timeout_ms=9_000), step("coupon", ())))
    story = given(saga, placed())
    assert story.due == NOON + 9_000
    story = story.when(WAITED).then(commands=[do("stock", 2)], events=["saga.step.timed_out", "saga.step.requested"])
    assert story.due == NOON + 18_000


def test_both_time_out_in_the_same_moment() -> None:
    """Each in a decision of its own, so that each has its own cause; the second one is due still, and once."""
    story = given(PAIR, placed())
    due = TimerDue(story.due or 0)
    story = story.when(due, at=due.due_ms).then(commands=[do("stock", 2)])
    assert story.due == due.due_ms
    story = story.when(due, at=due.due_ms).then(commands=[do("coupon", 2)])
    assert legs(story) == {"stock": Asked, "coupon": Asked}
    story.when(due).then_nothing()


def test_both_time_out_for_the_last_time_in_the_same_moment() -> None:
    """The first one turns the saga back; what the other one did is as open, and both are undone."""
    story = given(HASTY, placed()).when(WAITED).then(commands=[undo("stock"), undo("coupon")], state=Compensating)
    assert story.state.why.reason == TIMED_OUT
    story.lived(undone("coupon")).when(undone("stock")).then(
        outcome=order_rejected(TIMED_OUT, "stock"), state=RolledBack
    )


# room


def test_one_without_room_waits_and_the_other_one_goes_on() -> None:
    """It is asked for as soon as there is room, however far the other one has come."""
    story = given(PAIR).when(placed(), room=without("coupon")).then(commands=[do("stock")])
    assert legs(story) == {"stock": Asked, "coupon": Waiting}
    story = story.when(done("stock"), room=without("coupon")).then(events=["saga.step.succeeded"], state=Running)
    story = story.when(RoomFor("coupon")).then(commands=[do("coupon")])
    story.when(done("coupon")).then(outcome=completed("stock", "coupon"))


def test_room_for_one_is_no_room_for_the_other() -> None:
    """Each is told of its own participant."""
    story = given(PAIR, Crowded(placed()))
    assert story.due is None
    story = story.when(RoomFor("stock"), room=without("coupon")).then(commands=[do("stock")])
    assert legs(story) == {"stock": Asked, "coupon": Waiting}
    story.when(RoomFor("stock")).then_nothing()


def test_what_never_had_room_is_not_undone() -> None:
    """It was not asked for, so nothing can have happened."""
    story = given(PAIR).when(placed(), room=without("coupon")).after
    story = story.when(cancel()).then(commands=[undo("stock")], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


# back


def test_one_is_refused_while_the_other_is_in_flight() -> None:
    """Nothing was done in the one; the other one is in doubt and is undone."""
    story = given(PAIR, placed()).when(refused("stock")).then(commands=[undo("coupon")], state=Compensating)
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_one_is_refused_after_the_other_is_done() -> None:
    """It is undone by what it called its result."""
    story = given(PAIR, placed(), done("coupon")).when(refused("stock")).then(commands=[undo("coupon", known=True)])
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_both_are_refused() -> None:
    """When the second refusal comes its undo is on the way already: it goes on, and undoes nothing."""
    story = given(PAIR, placed(), refused("stock"))
    story = story.when(refused("coupon")).then_ignored()
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"))


def test_a_late_success_of_the_one_in_doubt_changes_nothing() -> None:
    """Its undo is on its way, and a participant refuses what comes after that."""
    story = given(PAIR, placed(), refused("stock")).when(done("coupon")).then_ignored()
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_two_are_undone_at_the_same_time() -> None:
    """Once the join is undone both are asked at once, and the saga has gone back when both have answered."""
    story = given(JOINED, placed(), done("stock"), done("coupon"), refused("sign"))
    assert legs(story) == {"stock": Asked, "coupon": Asked}
    story = story.when(undone("stock")).then(events=["saga.compensation.succeeded"], state=Compensating)
    story.when(undone("coupon")).then(outcome=order_rejected("no sign", "sign"), state=RolledBack)


def test_the_join_is_undone_before_what_it_joins() -> None:
    """In doubt as it is, it comes first; then both at once."""
    story = given(JOINED, placed(), done("stock"), done("coupon"))
    story = story.when(cancel()).then(commands=[undo("sign")], state=Compensating)
    assert story.state.left == ("stock", "coupon")
    story.when(undone("sign")).then(commands=[undo("stock", known=True), undo("coupon", known=True)])


def test_a_branch_is_undone_from_its_own_end() -> None:
    """A step waits for those after it alone, not for the other branch."""
    saga = Saga("long", 1, (STOCK, step("pack", ("stock",)), COUPON))
    story = given(saga, placed(), done("stock"), done("coupon"))
    story = story.when(refused("pack")).then(commands=[undo("stock", known=True), undo("coupon", known=True)])
    story = given(saga, placed(), done("stock"), done("pack"))
    story = story.when(refused("coupon")).then(commands=[undo("pack", known=True)])
    story.when(undone("pack")).then(commands=[undo("stock", known=True)])


@pytest.mark.parametrize(("first", "second"), (("coupon", "gift"), ("gift", "coupon")))
def test_what_both_come_after_is_undone_last(first: str, second: str) -> None:
    """It waits for both undos, in whatever order they are answered."""
    saga = Saga("fork", 1, (STOCK, step("coupon", ("stock",)), step("gift", ("stock",))))
    story = given(saga, placed(), done("stock")).when(cancel()).then(commands=[undo("coupon"), undo("gift")])
    story = story.when(undone(first)).then(events=["saga.compensation.succeeded"], state=Compensating)
    story = story.when(undone(second)).then(commands=[undo("stock", known=True)])
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_with_one_done_and_one_in_flight() -> None:
    """Both are undone at once: the one by its result, the other one in doubt."""
    story = given(PAIR, placed(), done("stock")).when(cancel())
    back = story.then(commands=[undo("stock", known=True), undo("coupon")], state=Compensating)
    assert back.state.why.requested
    back.lived(undone("coupon")).when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_the_deadline_gives_up_all_that_is_under_way() -> None:
    """Each step asked for times out, and is undone; the shop hears of the deadline."""
    story = given(LIMITED, placed(), broke("stock")).when(WAITED).after  # the pause, well before the deadline
    assert story.due == NOON + 20_000
    telling = story.when(WAITED)
    assert [event["type"] for event in telling.events[:2]] == ["saga.step.timed_out"] * 2
    back = telling.then(commands=[undo("stock"), undo("coupon")], state=Compensating)
    back.lived(undone("stock")).when(undone("coupon")).then(
        outcome=order_rejected(TOO_LATE, "coupon"), state=RolledBack
    )


def test_the_deadline_gives_up_only_what_was_asked_for() -> None:
    """A step that still waits for room did not time out, and is not undone."""
    story = given(LIMITED).when(placed(), room=without("coupon")).after
    back = story.when(WAITED).then(
        commands=[undo("stock")], events=["saga.step.timed_out", "saga.compensation.requested"], state=Compensating
    )
    back.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "stock"), state=RolledBack)


def test_the_deadline_undoes_one_that_is_done_too() -> None:
    """One was done, one never had room: the first one alone is undone."""
    story = (
        given(LIMITED).when(placed(), room=without("coupon")).after.when(done("stock"), room=without("coupon")).after
    )
    story = story.when(WAITED).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "coupon"), state=RolledBack)


# stuck


def test_one_undo_is_stuck_and_the_other_one_goes_on() -> None:
    """A person is needed for the one; the other one is not kept waiting for that."""
    story = given(PAIR, placed(), cancel()).when(broke("stock", "undo", for_good=True))
    stuck = story.then(outcome=order_stuck("broken", "stock"), state=Compensating)
    assert legs(stuck) == {"stock": Stuck, "coupon": Asked}
    stuck = stuck.when(undone("coupon")).then(events=["saga.compensation.succeeded"], state=Compensating)
    stuck.when(skip()).then(outcome=order_cancelled(), state=RolledBack)


def test_an_operator_sees_to_all_that_is_stuck() -> None:
    """One retry has both asked for again."""
    story = given(PAIR, *BOTH_STUCK)
    assert legs(story) == {"stock": Stuck, "coupon": Stuck}
    telling = story.when(retry())
    telling.then(commands=[undo("stock", 2), undo("coupon", 2)], state=Compensating)
    assert telling.events[0].get("steps") == ["stock", "coupon"]


def test_an_operator_sees_to_one_of_two() -> None:
    """The step that is named is asked for again; the other one stays stuck until somebody names it as well."""
    story = given(PAIR, *BOTH_STUCK)
    telling = story.when(retry(step="coupon"))
    again = telling.then(commands=[undo("coupon", 2)], events=[operated("retry", "coupon"), ASKED], state=Compensating)
    assert legs(again) == {"stock": Stuck, "coupon": Asked}
    again.when(retry()).then(commands=[undo("stock", 2)], events=[operated("retry", "stock"), ASKED])


def test_each_of_two_is_taken_as_done_by_its_name() -> None:
    """A person saw what came of the one, and then of the other."""
    story = given(PAIR, *BOTH_STUCK).when(skip(step="stock")).then(events=[operated("skip", "stock")])
    assert legs(story) == {"coupon": Stuck}
    story = story.when(skip(step="coupon")).then(
        outcome=order_cancelled(), events=[operated("skip", "coupon"), "saga.rolled_back"], state=RolledBack
    )
    story.when(skip(step="coupon")).then_operation_refused("saga.skip", "needs a saga that is stuck")


def test_nobody_takes_two_as_done_in_one_breath() -> None:
    """What a person saw of one step says nothing of the other: which one is meant must be said."""
    refusal = "needs the name of one step, as several are stuck: stock, coupon"
    story = given(PAIR, *BOTH_STUCK).when(skip()).then_operation_refused("saga.skip", refusal)
    story = story.when(skip(step="stock")).then(events=[operated("skip", "stock")])
    story.when(skip()).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize("name", ("coupon", "sign", "no step of this saga"))
@pytest.mark.parametrize(("word", "wish"), (("retry", retry), ("skip", skip)))
def test_a_named_step_that_is_not_stuck_is_refused(word: str, wish: Callable[..., Operation], name: str) -> None:
    """Be it under way, done or unknown: what else is stuck was not meant."""
    story = given(PAIR, placed(), cancel(), broke("stock", "undo", for_good=True))
    story.when(wish(step=name)).then_operation_refused(f"saga.{word}", f"needs {name} to be stuck")


@pytest.mark.parametrize(("word", "wish"), (("retry", retry), ("skip", skip)))
def test_a_name_doesnt_make_a_saga_stuck(word: str, wish: Callable[..., Operation]) -> None:
    """Where nothing is stuck the name doesn't matter."""
    story = given(PAIR, placed())
    story.when(wish(step="stock")).then_operation_refused(f"saga.{word}", "needs a saga that is stuck")


def test_a_retry_leaves_what_is_not_stuck_alone() -> None:
    """The other one keeps its attempt and its time."""
    story = given(PAIR, placed(), cancel(), broke("stock", "undo", for_good=True))
    story = story.when(retry()).then(commands=[undo("stock", 2)])
    assert {leg.step: leg.attempt for leg in story.state.legs} == {"stock": 2, "coupon": 1}


def test_two_that_get_stuck_in_the_same_moment_are_told_of_apart() -> None:
    """A decision has one outcome at most, with an id of its own: a shop that drops duplicates hears of both."""
    story = given(HASTY, placed(), cancel())
    due, ids = TimerDue(story.due or 0), list[str]()
    for name in ("stock", "coupon"):
        telling = story.when(due, at=due.due_ms)
        story = telling.then(outcome=order_stuck(TIMED_OUT, name), state=Compensating)
        assert isinstance(telling.verdict, Decision)
        cause = timer_cause(f"{name}:undo:1:timeout", due.due_ms, f"{ID}:{name}:undo:1")
        written = write(HASTY, ID, telling.verdict, cause, telling.at)
        ids += [_id(out.headers) for out in written if out.topic == "order.outcomes"]
    assert ids == [f"{ID}:outcome:{NOON}:3", f"{ID}:outcome:{NOON}:4"]
    assert legs(story) == {"stock": Stuck, "coupon": Stuck}


def _id(headers: Headers) -> str:
    return (dict(headers)["ce_id"] or b"").decode()
