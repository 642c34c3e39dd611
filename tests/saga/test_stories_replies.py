"""Stories of replies that no saga awaits: late, duplicated, contradictory, foreign or made up, in every situation."""

from typing import get_args

import pytest

from app.saga.messages import Failed, Refused, Reply, Succeeded, Undone
from app.saga.state import (
    Compensating,
    RolledBack,
    Running,
    Stuck,
)
from tests.saga.order_messages import (
    TWO_ATTEMPTS,
    charge,
    charged,
    declined,
    failed,
    order_completed,
    order_stuck,
    placed,
    refunded,
    rejected,
    release,
    released,
    reserved,
    retry,
)
from tests.saga.situations import ENDED, STARTED, at, situations
from tests.saga.story import given

GOING_FORWARD = situations(Running)
GOING_BACK = situations(Compensating)

ALL_REPLIES: tuple[Reply, ...] = (
    *(reserved(attempt) for attempt in (1, 2)),
    *(rejected(attempt) for attempt in (1, 2)),
    *(released(attempt) for attempt in (1, 2, 3)),
    *(charged(attempt) for attempt in (1, 2)),
    *(declined(attempt) for attempt in (1, 2)),
    *(refunded(attempt) for attempt in (1, 2, 3)),
    *(
        failed(f"{step}:{direction}", attempt, for_good=for_good)
        for step in ("reservation", "payment")
        for direction in ("do", "undo")
        for attempt in (1, 2)
        for for_good in (True, False)
    ),
)


def test_there_is_a_reply_of_every_kind() -> None:
    """ALL_REPLIES, which the stories below use, leaves no kind out."""
    assert {type(reply) for reply in ALL_REPLIES} == set(get_args(Reply))


@pytest.mark.parametrize("reply", ALL_REPLIES)
def test_no_reply_starts_a_saga(reply: Reply) -> None:
    """A reply for an order that was never placed goes to the dead letters."""
    given(TWO_ATTEMPTS).when(reply).then_dead_lettered("unknown_order")


@pytest.mark.parametrize("situation", ENDED)
def test_no_reply_moves_a_saga_that_has_ended(situation: str) -> None:
    """Every reply after the end is recorded and changes nothing."""
    for reply in ALL_REPLIES:
        at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_a_reply_to_another_order_is_ignored(situation: str) -> None:
    """The command that a reply names must be of exactly this order."""
    step, _ = _awaited(situation)
    for action in (f"{step}:do", f"{step}:undo"):
        for order in ("o-2", "O-1", "o-1:o-1", "o", "", "o-1:"):
            for reply in _naming(f"{order}:{action}:1"):
                at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_a_reply_to_an_attempt_never_sent_is_ignored(situation: str) -> None:
    """Nor is text that only looks like the number of an attempt one."""
    step, attempt = _awaited(situation)
    for direction in ("do", "undo"):
        action = f"o-1:{step}:{direction}"
        for number in (str(attempt + 1), "0", "-1", "01", "1.0", "", "one", "²", " 1", "1 ", "9" * 30):
            for reply in _naming(f"{action}:{number}"):
                at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("command", ("", ":", ":::", "o-1", "o-1:payment", "o-1:payment:do", "o-1:reservation:undo"))
def test_a_reply_to_no_command_at_all_is_ignored(command: str) -> None:
    """An id that names no attempt answers nothing, in any situation."""
    for situation in STARTED:
        for reply in _naming(command):
            at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_a_reply_of_the_other_step_is_ignored(situation: str) -> None:
    """One step is awaited at a time: a reply of the other one is too early or too late."""
    step, _ = _awaited(situation)
    for reply in ALL_REPLIES:
        if reply.step != step:
            at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_a_participant_cannot_answer_for_another(situation: str) -> None:
    """A reply of one step that names the command of the other counts for neither."""
    step, attempt = _awaited(situation)
    for direction in ("do", "undo"):
        for reply in _naming(f"o-1:{step}:{direction}:{attempt}"):
            if reply.step != step:
                at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", GOING_FORWARD)
def test_a_reply_to_an_undo_that_was_never_sent_is_ignored(situation: str) -> None:
    """A running saga undoes nothing, so no reply to an undo can be right."""
    for reply in ALL_REPLIES:
        if isinstance(reply, Undone) or ":undo:" in reply.command:
            at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", GOING_BACK)
def test_a_late_reply_to_a_step_that_was_given_up_is_ignored(situation: str) -> None:
    """Its undo was sent, and the participant refuses the step after that, or undoes it: nothing needs to change."""
    for reply in ALL_REPLIES:
        if isinstance(reply, Succeeded | Refused) or ":do:" in reply.command:
            at(situation).when(reply).then_ignored()


@pytest.mark.parametrize("situation", STARTED)
def test_success_cannot_answer_an_undo_nor_undone_a_do(situation: str) -> None:
    """A reply whose type does not fit its command is ignored."""
    step, attempt = _awaited(situation)
    for reply in _naming(f"o-1:{step}:undo:{attempt}"):
        if isinstance(reply, Succeeded | Refused):
            at(situation).when(reply).then_ignored()
    for reply in _naming(f"o-1:{step}:do:{attempt}"):
        if isinstance(reply, Undone):
            at(situation).when(reply).then_ignored()


@pytest.mark.parametrize(
    ("situation", "action"),
    (
        ("reservation in flight again after a time-out", "reservation:do"),
        ("reservation in flight again after a backoff", "reservation:do"),
        ("payment in flight again", "payment:do"),
        ("refund in flight again", "payment:undo"),
        ("release in flight again", "reservation:undo"),
        ("refund retried by an operator", "payment:undo"),
    ),
)
def test_a_retryable_failure_of_an_earlier_attempt_is_ignored(situation: str, action: str) -> None:
    """A newer attempt is in flight, and may still succeed."""
    at(situation).when(failed(action, 1)).then_ignored()


@pytest.mark.parametrize("situation", ("stuck in the refund", "stuck in the release"))
def test_a_failure_from_before_an_operators_retry_is_ignored(situation: str) -> None:
    """Since the retry a new attempt is in flight; only its failure can leave the saga stuck again."""
    stuck = at(situation)
    retried, action, attempt = stuck.moved_by(retry()), f"{stuck.active.step}:undo", stuck.active.attempt
    again = retried.when(failed(action, attempt, for_good=True)).then_ignored()
    again.when(failed(action, attempt + 1, for_good=True)).then(
        outcome=order_stuck("database down", stuck.active.step), state=Compensating, active=Stuck
    )


@pytest.mark.parametrize(
    ("situation", "action", "attempt"),
    (
        ("reservation backing off", "reservation:do", 1),
        ("payment backing off", "payment:do", 1),
        ("refund backing off", "payment:undo", 1),
        ("release backing off", "reservation:undo", 1),
        ("retried refund backing off", "payment:undo", 2),
    ),
)
def test_a_duplicated_failure_does_not_lengthen_the_backoff(situation: str, action: str, attempt: int) -> None:
    """The copy is ignored, and the time of the next attempt stays the same."""
    at(situation).when(failed(action, attempt)).then_ignored()


def test_every_reply_may_come_twice() -> None:
    """The second copy changes nothing, on the way forward and on the way back."""
    story = given(TWO_ATTEMPTS).when(placed()).after
    for reply in (reserved(), declined(), released()):
        story = story.moved_by(reply).when(reply).then_ignored()
    assert isinstance(story.state, RolledBack)


@pytest.mark.parametrize(
    "contradiction",
    (rejected(), failed("reservation:do", for_good=True), failed("reservation:do"), reserved(result="r-2")),
)
def test_the_first_answer_wins(contradiction: Reply) -> None:
    """Once reserved, no later reply of the participant changes anything, not even the reservation's id."""
    story = given(TWO_ATTEMPTS, placed(), reserved()).when(contradiction).then_ignored()
    story.when(charged()).then(outcome=order_completed("r-1", "p-1"))


@pytest.mark.parametrize("contradiction", (charged(), failed("payment:do"), failed("payment:do", for_good=True)))
def test_a_refusal_is_not_taken_back(contradiction: Reply) -> None:
    """Once declined, the saga rolls back, even if the participant later says that it has charged."""
    given(TWO_ATTEMPTS, placed(), reserved(), declined()).when(contradiction).then_ignored()


def test_a_failure_for_good_is_not_taken_back() -> None:
    """Once given up, the step is being undone, whatever other replies come."""
    story = given(TWO_ATTEMPTS, placed()).when(failed("reservation:do", for_good=True)).then(commands=[release()])
    story.when(reserved()).then_ignored().when(rejected()).then_ignored()


def test_a_retryable_failure_does_not_settle_its_attempt() -> None:
    """A participant may fail, and still answer the same attempt later."""
    given(TWO_ATTEMPTS, placed(), failed("reservation:do")).when(reserved(1)).then(commands=[charge()])


def test_a_payment_before_its_reservation_skips_no_step() -> None:
    """A charge without a command is ignored: the reservation is still awaited, and then the payment."""
    story = given(TWO_ATTEMPTS, placed()).when(charged()).then_ignored()
    story.when(reserved()).then(commands=[charge()], state=Running)


def _awaited(situation: str) -> tuple[str, int]:
    """The step and attempt that a situation waits for; a fixed one where it waits for none."""
    story = at(situation)
    return (story.active.step, story.active.attempt) if situation in (*GOING_FORWARD, *GOING_BACK) else ("payment", 2)


def _naming(command: str) -> list[Reply]:
    """A reply of each kind and each step that names this command."""
    return [
        reply
        for step in ("reservation", "payment")
        for reply in (
            Succeeded("reply", "succeeded", step, command, "x-1"),
            Refused("reply", "refused", step, command, "no"),
            Undone("reply", "undone", step, command),
            Failed("reply", "failed", step, command, "no", retryable=True),
            Failed("reply", "failed", step, command, "no", retryable=False),
        )
    ]
