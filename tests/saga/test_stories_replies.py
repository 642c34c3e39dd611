"""Stories of replies that nobody waits for: late, twice, contradictory, foreign or made up, in every place."""

from typing import get_args

import pytest

from app.saga.messages import Failed, Refused, Reply, Succeeded, Undone
from app.saga.state import (
    Compensating,
    Completed,
    RolledBack,
    Running,
    Stuck,
)
from tests.saga.given import given
from tests.saga.places import PLACES, at, places
from tests.saga.words import (
    BRIEF,
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

STARTED = tuple(place for place in PLACES if place != "nothing placed")
ENDED = places(Completed, RolledBack)
GOING_FORWARD = places(Running)
GOING_BACK = places(Compensating)

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
    """The replies that the stories below are told with leave no kind out."""
    assert {type(reply) for reply in ALL_REPLIES} == set(get_args(Reply))


@pytest.mark.parametrize("reply", ALL_REPLIES)
def test_no_reply_starts_a_saga(reply: Reply) -> None:
    """A reply for an order that nobody placed belongs to the dead letters."""
    given(BRIEF).when(reply).then_unacceptable("unknown_order")


@pytest.mark.parametrize("place", ENDED)
def test_no_reply_moves_a_saga_that_has_ended(place: str) -> None:
    """Whatever a participant says after the end is recorded and changes nothing."""
    for reply in ALL_REPLIES:
        at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", STARTED)
def test_a_reply_to_another_order_is_ignored(place: str) -> None:
    """The command that a reply names must be of the same order, to the letter."""
    step, _ = _awaited(place)
    for effect in (f"{step}:do", f"{step}:undo"):
        for order in ("o-2", "O-1", "o-1:o-1", "o", "", "o-1:"):
            for reply in _naming(f"{order}:{effect}:1"):
                at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", STARTED)
def test_a_reply_to_an_attempt_never_sent_is_ignored(place: str) -> None:
    """Nobody can answer what was not asked; numbers that only look like an attempt are none."""
    step, attempt = _awaited(place)
    for direction in ("do", "undo"):
        effect = f"o-1:{step}:{direction}"
        for number in (str(attempt + 1), "0", "-1", "01", "1.0", "", "one", "²", " 1", "1 ", "9" * 30):
            for reply in _naming(f"{effect}:{number}"):
                at(place).when(reply).then_ignored()


@pytest.mark.parametrize("command", ("", ":", ":::", "o-1", "o-1:payment", "o-1:payment:do", "o-1:reservation:undo"))
def test_a_reply_to_no_command_at_all_is_ignored(command: str) -> None:
    """What names no attempt of an effect answers nothing, wherever the saga is."""
    for place in STARTED:
        for reply in _naming(command):
            at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", STARTED)
def test_a_reply_of_the_other_step_is_ignored(place: str) -> None:
    """One step is awaited at a time; what the other one says comes too early or too late."""
    step, _ = _awaited(place)
    for reply in ALL_REPLIES:
        if reply.step != step:
            at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", STARTED)
def test_a_participant_cannot_answer_for_another(place: str) -> None:
    """A reply of one step that names the other one's command counts for neither."""
    step, attempt = _awaited(place)
    for direction in ("do", "undo"):
        for reply in _naming(f"o-1:{step}:{direction}:{attempt}"):
            if reply.step != step:
                at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", GOING_FORWARD)
def test_an_undo_that_was_not_asked_for_is_ignored(place: str) -> None:
    """Going forward nothing is undone, so no such answer can be right."""
    for reply in ALL_REPLIES:
        if isinstance(reply, Undone) or ":undo:" in reply.command:
            at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", GOING_BACK)
def test_a_late_answer_of_a_step_given_up_is_ignored(place: str) -> None:
    """Its undo was sent, and the participant will refuse the step after that or undo it: there is nothing to change."""
    for reply in ALL_REPLIES:
        if isinstance(reply, Succeeded | Refused) or ":do:" in reply.command:
            at(place).when(reply).then_ignored()


@pytest.mark.parametrize("place", STARTED)
def test_success_cannot_answer_an_undo_nor_undone_a_do(place: str) -> None:
    """A reply whose type does not fit the command that it names is ignored."""
    step, attempt = _awaited(place)
    for reply in _naming(f"o-1:{step}:undo:{attempt}"):
        if isinstance(reply, Succeeded | Refused):
            at(place).when(reply).then_ignored()
    for reply in _naming(f"o-1:{step}:do:{attempt}"):
        if isinstance(reply, Undone):
            at(place).when(reply).then_ignored()


@pytest.mark.parametrize(
    ("place", "effect"),
    (
        ("reservation asked for again after a time-out", "reservation:do"),
        ("reservation asked for again after a pause", "reservation:do"),
        ("payment asked for again", "payment:do"),
        ("refund asked for again", "payment:undo"),
        ("release asked for again", "reservation:undo"),
        ("refund retried by an operator", "payment:undo"),
    ),
)
def test_a_passing_failure_of_an_earlier_attempt_is_ignored(place: str, effect: str) -> None:
    """A newer attempt is under way, which may still do it."""
    at(place).when(failed(effect, 1)).then_ignored()


@pytest.mark.parametrize("place", ("stuck in the refund", "stuck in the release"))
def test_a_failure_from_before_an_operators_retry_is_ignored(place: str) -> None:
    """The operator has asked anew since; only what the participant says of that can leave the saga stuck again."""
    stuck = at(place)
    retried, effect, attempt = stuck.lived(retry()), f"{stuck.leg.step}:undo", stuck.leg.attempt
    again = retried.when(failed(effect, attempt, for_good=True)).then_ignored()
    again.when(failed(effect, attempt + 1, for_good=True)).then(
        outcome=order_stuck("database down", stuck.leg.step), state=Compensating, leg=Stuck
    )


@pytest.mark.parametrize(
    ("place", "effect", "attempt"),
    (
        ("reservation paused", "reservation:do", 1),
        ("payment paused", "payment:do", 1),
        ("refund paused", "payment:undo", 1),
        ("release paused", "reservation:undo", 1),
        ("retried refund paused", "payment:undo", 2),
    ),
)
def test_the_same_failure_twice_does_not_lengthen_the_pause(place: str, effect: str, attempt: int) -> None:
    """The copy is ignored, and the time to ask again stays as it was."""
    at(place).when(failed(effect, attempt)).then_ignored()


def test_every_reply_may_come_twice() -> None:
    """The second copy changes nothing, on the way forward and on the way back."""
    story = given(BRIEF).when(placed()).after
    for reply in (reserved(), declined(), released()):
        story = story.lived(reply).when(reply).then_ignored()
    assert isinstance(story.state, RolledBack)


@pytest.mark.parametrize(
    "contradiction",
    (rejected(), failed("reservation:do", for_good=True), failed("reservation:do"), reserved(result="r-2")),
)
def test_the_first_answer_wins(contradiction: Reply) -> None:
    """Once reserved, nothing the participant says later about it changes a thing, not the reservation's id either."""
    story = given(BRIEF, placed(), reserved()).when(contradiction).then_ignored()
    story.when(charged()).then(outcome=order_completed("r-1", "p-1"))


@pytest.mark.parametrize("contradiction", (charged(), failed("payment:do"), failed("payment:do", for_good=True)))
def test_a_refusal_is_not_taken_back(contradiction: Reply) -> None:
    """Once declined, the order goes back even if the participant says that it has charged after all."""
    given(BRIEF, placed(), reserved(), declined()).when(contradiction).then_ignored()


def test_a_failure_for_good_is_not_taken_back() -> None:
    """Once given up, the step is being undone, whatever comes of the attempts still under way."""
    story = given(BRIEF, placed()).when(failed("reservation:do", for_good=True)).then(commands=[release()])
    story.when(reserved()).then_ignored().when(rejected()).then_ignored()


def test_a_passing_failure_is_no_answer_yet() -> None:
    """A participant may fail in between and still say what became of the same attempt."""
    given(BRIEF, placed(), failed("reservation:do")).when(reserved(1)).then(commands=[charge()])


def test_a_payment_before_its_reservation_skips_no_step() -> None:
    """Charged though nobody asked: the reservation is still awaited, and the payment asked for after it."""
    story = given(BRIEF, placed()).when(charged()).then_ignored()
    story.when(reserved()).then(commands=[charge()], state=Running)


def _awaited(place: str) -> tuple[str, int]:
    """The step and the attempt that a place waits for; the last step's first attempt where it waits for nothing."""
    story = at(place)
    return (story.leg.step, story.leg.attempt) if place in (*GOING_FORWARD, *GOING_BACK) else ("payment", 2)


def _naming(command: str) -> list[Reply]:
    """A reply of each kind and step that names this command."""
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
