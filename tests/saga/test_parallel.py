"""Stories of parallel steps: started together, joined, and undone together."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.saga.definition import Saga
from app.saga.handlers.attempts import TIMED_OUT, TOO_LATE
from app.saga.messages import CapacityAvailable, Operation, TimerDue
from app.saga.state import BackingOff, Compensating, Completed, InFlight, Queued, RolledBack, Running, Stuck
from app.saga.verdict import Decision
from app.wire.envelope import Headers
from app.wire.writer import timer_cause, write
from tests.saga.order_messages import (
    ID,
    cancel,
    order_cancelled,
    order_rejected,
    order_stuck,
    placed,
    retry,
    skip,
)
from tests.saga.steps import broke, completed, do, done, refused, step, undo, undone
from tests.saga.story import NEXT_TIMER, NOON, AtCapacity, ExpectedEvent, Story, given, no_capacity_for

STOCK, COUPON = step("stock"), step("coupon", ())
SIGN = step("sign", ("stock", "coupon"), result_fields=("stock_id", "coupon_id"))
PAIR = Saga("pair", 1, (STOCK, COUPON))
JOINED = Saga("joined", 1, (STOCK, COUPON, SIGN))
ONE_ATTEMPT = Saga("hasty", 1, (step("stock", attempts=1), step("coupon", (), attempts=1)))
LIMITED = replace(JOINED, deadline_ms=20_000)
BOTH_STUCK = (placed(), cancel(), broke("stock", "undo", for_good=True), broke("coupon", "undo", for_good=True))
UNDO_REQUESTED = "saga.compensation.requested"


def active_steps(story: Story) -> dict[str, type]:
    """The status of each active step."""
    return {active.step: type(active) for active in story.state.active_steps}


def operated(word: str, *steps: str) -> ExpectedEvent:
    """The event of an operation on these steps."""
    reason = {"retry": retry().reason, "skip": skip().reason}[word]
    operation = f"saga.{word}"
    return {"type": "saga.operated", "operation": operation, "operator": "olga", "reason": reason, "steps": [*steps]}


# forward


def test_two_steps_begin_at_once() -> None:
    """Neither needs the other, so the decision that starts the saga requests both."""
    story = given(PAIR).when(placed()).then(commands=[do("stock"), do("coupon")], state=Running)
    assert active_steps(story) == {"stock": InFlight, "coupon": InFlight}


@pytest.mark.parametrize(("first", "second"), (("stock", "coupon"), ("coupon", "stock")))
def test_both_must_be_done(first: str, second: str) -> None:
    """The first success sends nothing, the second completes the order, in either order."""
    story = given(PAIR, placed()).when(done(first)).then(events=["saga.step.succeeded"], state=Running)
    story.when(done(second)).then(outcome=completed("stock", "coupon"), state=Completed)


@pytest.mark.parametrize(("first", "second"), (("stock", "coupon"), ("coupon", "stock")))
def test_a_join_waits_for_both(first: str, second: str) -> None:
    """The step after both is requested once both are done, and carries the results of both."""
    story = given(JOINED, placed(), done(first))
    assert active_steps(story) == {second: InFlight}
    joined = story.when(done(second)).then(commands=[do("sign", stock_id="stock-1", coupon_id="coupon-1")])
    joined.when(done("sign")).then(outcome=completed("stock", "coupon", "sign"), state=Completed)


def test_branches_run_apart_until_they_join() -> None:
    """A step on one branch starts though the other branch is not done; the join starts after the longest branch."""
    saga = Saga("long", 1, (STOCK, step("pack", ("stock",)), COUPON, step("sign", ("pack", "coupon"))))
    story = given(saga, placed()).when(done("stock")).then(commands=[do("pack")])
    story = story.when(done("coupon")).then(events=["saga.step.succeeded"])
    assert active_steps(story) == {"pack": InFlight}
    story.when(done("pack")).then(commands=[do("sign")])


def test_a_fork_begins_everything_behind_it() -> None:
    """Steps after the same step are requested together, in declaration order."""
    saga = Saga("fork", 1, (STOCK, step("coupon", ("stock",)), step("gift", ("stock",))))
    given(saga, placed()).when(done("stock")).then(commands=[do("coupon"), do("gift")])


def test_a_failure_of_one_leaves_the_other_alone() -> None:
    """Each step has attempts, backoffs and time-outs of its own."""
    story = given(PAIR, placed()).when(broke("stock")).then(events=["saga.step.failed"], state=Running)
    assert active_steps(story) == {"stock": BackingOff, "coupon": InFlight}
    story = story.moved_by(done("coupon")).when(NEXT_TIMER).then(commands=[do("stock", 2)])
    story.when(done("stock", 2)).then(outcome=completed("stock", "coupon"), state=Completed)


def test_the_earlier_of_two_timers_comes_first() -> None:
    """The other step goes on waiting."""
    saga = Saga("uneven", 1, (step("stock", timeout_ms=9_000), step("coupon", ())))
    story = given(saga, placed())
    assert story.due == NOON + 9_000
    story = story.when(NEXT_TIMER).then(
        commands=[do("stock", 2)], events=["saga.step.timed_out", "saga.step.requested"]
    )
    assert story.due == NOON + 18_000


def test_both_time_out_in_the_same_moment() -> None:
    """Each in a decision of its own, with its own cause; the second timer is still due, and counts once."""
    story = given(PAIR, placed())
    due = TimerDue(story.due or 0)
    story = story.when(due, at=due.due_ms).then(commands=[do("stock", 2)])
    assert story.due == due.due_ms
    story = story.when(due, at=due.due_ms).then(commands=[do("coupon", 2)])
    assert active_steps(story) == {"stock": InFlight, "coupon": InFlight}
    story.when(due).then_no_change()


def test_both_time_out_for_the_last_time_in_the_same_moment() -> None:
    """The first time-out starts the rollback. The other step is in doubt as well, and both are undone."""
    story = (
        given(ONE_ATTEMPT, placed()).when(NEXT_TIMER).then(commands=[undo("stock"), undo("coupon")], state=Compensating)
    )
    assert story.state.why.reason == TIMED_OUT
    story.moved_by(undone("coupon")).when(undone("stock")).then(
        outcome=order_rejected(TIMED_OUT, "stock"), state=RolledBack
    )


# capacity


def test_one_is_queued_and_the_other_one_goes_on() -> None:
    """It is requested as soon as there is capacity, however far the other one has come."""
    story = given(PAIR).when(placed(), try_acquire=no_capacity_for("coupon")).then(commands=[do("stock")])
    assert active_steps(story) == {"stock": InFlight, "coupon": Queued}
    story = story.when(done("stock"), try_acquire=no_capacity_for("coupon")).then(
        events=["saga.step.succeeded"], state=Running
    )
    story = story.when(CapacityAvailable("coupon")).then(commands=[do("coupon")])
    story.when(done("coupon")).then(outcome=completed("stock", "coupon"))


def test_capacity_for_one_is_none_for_the_other() -> None:
    """Capacity is that of one participant."""
    story = given(PAIR, AtCapacity(placed()))
    assert story.due is None
    story = story.when(CapacityAvailable("stock"), try_acquire=no_capacity_for("coupon")).then(commands=[do("stock")])
    assert active_steps(story) == {"stock": InFlight, "coupon": Queued}
    story.when(CapacityAvailable("stock")).then_no_change()


def test_a_step_that_was_never_admitted_is_not_undone() -> None:
    """It was not requested, so it can't have happened."""
    story = given(PAIR).when(placed(), try_acquire=no_capacity_for("coupon")).after
    story = story.when(cancel()).then(commands=[undo("stock")], state=Compensating)
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


# rolling back


def test_one_is_refused_while_the_other_is_in_flight() -> None:
    """The refused step did nothing; the other one is in doubt, and is undone."""
    story = given(PAIR, placed()).when(refused("stock")).then(commands=[undo("coupon")], state=Compensating)
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_one_is_refused_after_the_other_is_done() -> None:
    """The other one is undone by its result."""
    story = given(PAIR, placed(), done("coupon")).when(refused("stock")).then(commands=[undo("coupon", known=True)])
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_both_are_refused() -> None:
    """When the second refusal comes, its undo is in flight already: it goes on, and undoes nothing."""
    story = given(PAIR, placed(), refused("stock"))
    story = story.when(refused("coupon")).then_ignored()
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"))


def test_a_late_success_of_the_one_in_doubt_changes_nothing() -> None:
    """Its undo is in flight, and a participant refuses a step that comes after its undo."""
    story = given(PAIR, placed(), refused("stock")).when(done("coupon")).then_ignored()
    story.when(undone("coupon")).then(outcome=order_rejected("no stock", "stock"), state=RolledBack)


def test_two_are_undone_at_the_same_time() -> None:
    """Once the join is undone both undos are sent, and the saga is rolled back when both are answered."""
    story = given(JOINED, placed(), done("stock"), done("coupon"), refused("sign"))
    assert active_steps(story) == {"stock": InFlight, "coupon": InFlight}
    story = story.when(undone("stock")).then(events=["saga.compensation.succeeded"], state=Compensating)
    story.when(undone("coupon")).then(outcome=order_rejected("no sign", "sign"), state=RolledBack)


def test_the_join_is_undone_before_the_steps_that_it_joins() -> None:
    """The join is in doubt and is undone first; then the two steps at once."""
    story = given(JOINED, placed(), done("stock"), done("coupon"))
    story = story.when(cancel()).then(commands=[undo("sign")], state=Compensating)
    assert story.state.left == ("stock", "coupon")
    story.when(undone("sign")).then(commands=[undo("stock", known=True), undo("coupon", known=True)])


def test_a_branch_is_undone_from_its_own_end() -> None:
    """An undo waits for the steps after it alone, not for the other branch."""
    saga = Saga("long", 1, (STOCK, step("pack", ("stock",)), COUPON))
    story = given(saga, placed(), done("stock"), done("coupon"))
    story = story.when(refused("pack")).then(commands=[undo("stock", known=True), undo("coupon", known=True)])
    story = given(saga, placed(), done("stock"), done("pack"))
    story = story.when(refused("coupon")).then(commands=[undo("pack", known=True)])
    story.when(undone("pack")).then(commands=[undo("stock", known=True)])


@pytest.mark.parametrize(("first", "second"), (("coupon", "gift"), ("gift", "coupon")))
def test_the_step_before_a_fork_is_undone_last(first: str, second: str) -> None:
    """It waits for both undos, in whichever order they are answered."""
    saga = Saga("fork", 1, (STOCK, step("coupon", ("stock",)), step("gift", ("stock",))))
    story = given(saga, placed(), done("stock")).when(cancel()).then(commands=[undo("coupon"), undo("gift")])
    story = story.when(undone(first)).then(events=["saga.compensation.succeeded"], state=Compensating)
    story = story.when(undone(second)).then(commands=[undo("stock", known=True)])
    story.when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_a_cancel_with_one_done_and_one_in_flight() -> None:
    """Both are undone at once: one by its result, the other one in doubt."""
    story = given(PAIR, placed(), done("stock")).when(cancel())
    back = story.then(commands=[undo("stock", known=True), undo("coupon")], state=Compensating)
    assert back.state.why.requested
    back.moved_by(undone("coupon")).when(undone("stock")).then(outcome=order_cancelled(), state=RolledBack)


def test_the_deadline_gives_up_all_active_steps() -> None:
    """Each step that was requested times out and is undone; the outcome names the deadline."""
    story = given(LIMITED, placed(), broke("stock")).when(NEXT_TIMER).after  # the backoff, well before the deadline
    assert story.due == NOON + 20_000
    reaction = story.when(NEXT_TIMER)
    assert [event["type"] for event in reaction.events[:2]] == ["saga.step.timed_out"] * 2
    back = reaction.then(commands=[undo("stock"), undo("coupon")], state=Compensating)
    back.moved_by(undone("stock")).when(undone("coupon")).then(
        outcome=order_rejected(TOO_LATE, "coupon"), state=RolledBack
    )


def test_the_deadline_gives_up_only_requested_steps() -> None:
    """A step that is still queued does not time out, and is not undone."""
    story = given(LIMITED).when(placed(), try_acquire=no_capacity_for("coupon")).after
    back = story.when(NEXT_TIMER).then(
        commands=[undo("stock")], events=["saga.step.timed_out", "saga.compensation.requested"], state=Compensating
    )
    back.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "stock"), state=RolledBack)


def test_the_deadline_undoes_a_step_that_is_done() -> None:
    """One step is done, the other was never admitted: only the first one is undone."""
    story = (
        given(LIMITED)
        .when(placed(), try_acquire=no_capacity_for("coupon"))
        .after.when(done("stock"), try_acquire=no_capacity_for("coupon"))
        .after
    )
    story = story.when(NEXT_TIMER).then(commands=[undo("stock", known=True)], state=Compensating)
    story.when(undone("stock")).then(outcome=order_rejected(TOO_LATE, "coupon"), state=RolledBack)


# stuck


def test_one_undo_is_stuck_and_the_other_one_goes_on() -> None:
    """One needs an operator; the other one does not wait for that."""
    story = given(PAIR, placed(), cancel()).when(broke("stock", "undo", for_good=True))
    stuck = story.then(outcome=order_stuck("broken", "stock"), state=Compensating)
    assert active_steps(stuck) == {"stock": Stuck, "coupon": InFlight}
    stuck = stuck.when(undone("coupon")).then(events=["saga.compensation.succeeded"], state=Compensating)
    stuck.when(skip()).then(outcome=order_cancelled(), state=RolledBack)


def test_an_operator_retries_all_stuck_steps() -> None:
    """One retry sends both again."""
    story = given(PAIR, *BOTH_STUCK)
    assert active_steps(story) == {"stock": Stuck, "coupon": Stuck}
    reaction = story.when(retry())
    reaction.then(commands=[undo("stock", 2), undo("coupon", 2)], state=Compensating)
    assert reaction.events[0].get("steps") == ["stock", "coupon"]


def test_an_operator_retries_one_of_two_stuck_steps() -> None:
    """The named step is sent again; the other one stays stuck until it is retried as well."""
    story = given(PAIR, *BOTH_STUCK)
    reaction = story.when(retry(step="coupon"))
    again = reaction.then(
        commands=[undo("coupon", 2)], events=[operated("retry", "coupon"), UNDO_REQUESTED], state=Compensating
    )
    assert active_steps(again) == {"stock": Stuck, "coupon": InFlight}
    again.when(retry()).then(commands=[undo("stock", 2)], events=[operated("retry", "stock"), UNDO_REQUESTED])


def test_each_of_two_is_taken_as_done_by_its_name() -> None:
    """An operator skips one stuck step, and then the other."""
    story = given(PAIR, *BOTH_STUCK).when(skip(step="stock")).then(events=[operated("skip", "stock")])
    assert active_steps(story) == {"coupon": Stuck}
    story = story.when(skip(step="coupon")).then(
        outcome=order_cancelled(), events=[operated("skip", "coupon"), "saga.rolled_back"], state=RolledBack
    )
    story.when(skip(step="coupon")).then_operation_refused("saga.skip", "needs a saga that is stuck")


def test_two_stuck_steps_are_not_skipped_at_once() -> None:
    """One step done by hand says nothing of the other: the skip must name its step."""
    refusal = "needs the name of one step, as several are stuck: stock, coupon"
    story = given(PAIR, *BOTH_STUCK).when(skip()).then_operation_refused("saga.skip", refusal)
    story = story.when(skip(step="stock")).then(events=[operated("skip", "stock")])
    story.when(skip()).then(outcome=order_cancelled(), state=RolledBack)


@pytest.mark.parametrize("name", ("coupon", "sign", "no step of this saga"))
@pytest.mark.parametrize(("word", "given_input"), (("retry", retry), ("skip", skip)))
def test_a_named_step_that_is_not_stuck_is_refused(word: str, given_input: Callable[..., Operation], name: str) -> None:
    """Whether it is active, done or unknown: the other stuck steps were not meant."""
    story = given(PAIR, placed(), cancel(), broke("stock", "undo", for_good=True))
    story.when(given_input(step=name)).then_operation_refused(f"saga.{word}", f"needs {name} to be stuck")


@pytest.mark.parametrize(("word", "given_input"), (("retry", retry), ("skip", skip)))
def test_a_name_doesnt_make_a_saga_stuck(word: str, given_input: Callable[..., Operation]) -> None:
    """If no step is stuck, the name doesn't matter."""
    story = given(PAIR, placed())
    story.when(given_input(step="stock")).then_operation_refused(f"saga.{word}", "needs a saga that is stuck")


def test_a_retry_leaves_steps_alone_that_are_not_stuck() -> None:
    """The other step keeps its attempt and its time-out."""
    story = given(PAIR, placed(), cancel(), broke("stock", "undo", for_good=True))
    story = story.when(retry()).then(commands=[undo("stock", 2)])
    assert {active.step: active.attempt for active in story.state.active_steps} == {"stock": 2, "coupon": 1}


def test_two_steps_that_get_stuck_in_the_same_moment_have_two_outcomes() -> None:
    """A decision has one outcome at most, with an id of its own: a shop that drops duplicates gets both."""
    story = given(ONE_ATTEMPT, placed(), cancel())
    due, ids = TimerDue(story.due or 0), list[str]()
    for name in ("stock", "coupon"):
        reaction = story.when(due, at=due.due_ms)
        story = reaction.then(outcome=order_stuck(TIMED_OUT, name), state=Compensating)
        assert isinstance(reaction.verdict, Decision)
        cause = timer_cause(f"{name}:undo:1:timeout", due.due_ms, f"{ID}:{name}:undo:1")
        written = write(ONE_ATTEMPT, ID, reaction.verdict, cause, reaction.at)
        ids += [_id(out.headers) for out in written if out.topic == "order.outcomes"]
    assert ids == [f"{ID}:outcome:{NOON}:3", f"{ID}:outcome:{NOON}:4"]
    assert active_steps(story) == {"stock": Stuck, "coupon": Stuck}


def _id(headers: Headers) -> str:
    return (dict(headers)["ce_id"] or b"").decode()
