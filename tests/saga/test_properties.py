"""What holds for every saga, whatever it is told, in whatever order, at whatever time."""

import os
import random
import subprocess
import sys
from collections import defaultdict
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.saga.definition import Saga
from app.saga.effects import SendCommand, SendOutcome
from app.saga.evolve import EVENT_TYPES, advance
from app.saga.identity import command_id
from app.saga.messages import Cancel, Compensate, Failed, Input, Place, Retry, RoomFor, Skip, Succeeded, TimerDue
from app.saga.state import (
    FINAL,
    LEGS,
    STATES,
    UNKNOWN,
    Asked,
    Compensating,
    Completed,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    Stuck,
    Waiting,
    due_ms,
    stuck,
)
from app.saga.tries import TOO_LATE
from app.saga.verdict import Decision, Forgotten, Nothing, Unacceptable
from app.wire import statedoc
from tests.saga.books import Book, read
from tests.saga.lives import ID, PLACED, Moment, any_lives, any_saga, live, reply, tell, trace, urge
from tests.saga.shapes import misshapen

Life = tuple[Saga, list[Moment]]
examples = settings(max_examples=settings().max_examples)
many = settings(max_examples=settings().max_examples * 5)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Any saga, and its life up to some moment: its urges come by chance, so that a failure is cut short at its end."""
    saga = any_saga(lambda among: draw(st.sampled_from(among)))
    chance = random.Random(draw(st.integers(0, 2**32)))
    urges = [urge(chance.getrandbits(24)) for _ in range(draw(st.sampled_from((*range(40), *(40,) * 40))))]
    before = draw(st.sampled_from((0, 0, 0, 1, 2)))
    return saga, live(saga, [*urges[:before], PLACED, *urges[before:]])


def test_lives_lead_everywhere() -> None:
    """The properties below are shown lives that reach every state and event, with steps under way in every way."""
    reached: set[Any] = set()

    @many
    @given(lives())
    def collect(life: Life) -> None:
        for moment in life[1]:
            state = moment.after.state
            reached.update((type(state), type(moment.verdict), *(event["type"] for event in moment.events)))
            reached.update((type(state), type(leg)) for leg in getattr(state, "legs", ()))

    collect()
    legs = {(state, leg) for state in (Running, Compensating) for leg in LEGS}
    assert reached == {*STATES, *legs, *EVENT_TYPES, Decision, Nothing, Unacceptable, Forgotten}


@examples
@given(lives())
def test_the_same_life_twice_is_the_same_to_the_byte(life: Life) -> None:
    """Events, state and what is sent follow from what was told, when, and what was borne, and from nothing else."""
    saga, moments = life
    again, progress = [], UNKNOWN
    for moment in deepcopy(moments):
        again.append(tell(deepcopy(saga), progress, moment.given, moment.at, moment.borne))
        progress = again[-1].after
    assert trace(again) == trace(moments)


def test_another_process_decides_the_same_to_the_byte() -> None:
    """Nothing hangs on the seed with which a process hashes its strings."""
    code = (
        "import sys; from tests.saga.lives import *; "
        "sys.stdout.buffer.write(b'|'.join(trace(life) for _, life in any_lives(20, 1)))"
    )
    root, command = Path(__file__).parents[2], [sys.executable, "-c", code]
    told = [
        subprocess.run(command, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        for seed in ("1", "2")
    ]
    here = b"|".join(trace(life) for _, life in any_lives(20, 1))
    assert told[0].stdout == told[1].stdout == here


@examples
@given(lives())
def test_the_log_folds_to_the_state(life: Life) -> None:
    """The events, read back as JSON, give the state after every decision, to the byte; so does its own document."""
    saga, moments = life
    progress = UNKNOWN
    for moment in moments:
        if isinstance(moment.verdict, Decision):
            document = statedoc.encode(moment.after)
            progress = advance(saga, progress, orjson.loads(orjson.dumps(moment.events)))
            assert statedoc.decode(document) == moment.after
            assert statedoc.encode(statedoc.decode(document)) == statedoc.encode(progress) == document
        assert progress == moment.after or isinstance(moment.verdict, Forgotten)


@examples
@given(lives())
def test_decisions_are_numbered_without_gaps(life: Life) -> None:
    """Each decision has the next number and at least one event; what is no decision has none."""
    for moment in life[1]:
        if not isinstance(moment.verdict, Forgotten):
            assert moment.after.seq == moment.before.seq + isinstance(moment.verdict, Decision)
        assert bool(moment.events) == isinstance(moment.verdict, Decision)


@examples
@given(lives())
def test_deciding_changes_nothing_that_it_was_given(life: Life) -> None:
    """Inputs, states and the saga are as they were, and so is what was decided before."""
    saga, moments = life
    copies = deepcopy((saga, moments))
    for moment in moments:
        tell(saga, moment.before, moment.given, moment.at, moment.borne)
    assert (saga, moments) == copies


@examples
@given(lives())
def test_events_are_as_their_types_say(life: Life) -> None:
    """Each event has the fields that its type declares, of the declared types, and no others."""
    for moment in life[1]:
        for event in moment.events:
            assert misshapen(event) == []


@examples
@given(lives())
def test_no_command_is_sent_twice(life: Life) -> None:
    """Ids are counted on from 1 within an effect, whatever else happens; the key names the effect alone."""
    sent: dict[str, int] = defaultdict(int)
    for moment in life[1]:
        for command in moment.sent:
            if isinstance(command, SendCommand):
                sent[command.effect] += 1
                assert command.id == f"{command.effect}:{sent[command.effect]}"
                assert command.value["order_id"] == ID


@many
@given(lives())
def test_every_life_is_one_that_the_books_allow(life: Life) -> None:
    """Steps in their order, undone in reverse, never twice, never past the pivot, never above their attempts."""
    read(*life)


def test_thousands_of_lives_by_chance_are_ones_that_the_books_allow() -> None:
    """As above, far from the simplest examples; enough of them end well, and enough go back."""
    reached: dict[type, int] = defaultdict(int)
    for seed in range(3_000):
        for saga, life in any_lives(1, seed):
            try:
                read(saga, life)
            except AssertionError as error:
                raise AssertionError(f"the books of seed {seed} don't allow it") from error
            for state in {type(moment.after.state) for moment in life}:
                reached[state] += 1
    assert min(reached[state] for state in (Running, Compensating, Completed, RolledBack)) > 500


@examples
@given(lives())
def test_a_command_is_sent_where_there_is_room(life: Life) -> None:
    """A step without room waits; only one that paused keeps its room, and one that is given room is asked for."""
    saga, moments = life
    for moment in moments:
        legs = {leg.step: leg for leg in getattr(moment.before.state, "legs", ())}
        for event in moment.events:
            if event["type"] in ("saga.step.requested", "saga.compensation.requested"):
                step: str = event["step"]
                given_room = isinstance(moment.given, RoomFor) and moment.given.step == step
                paused = isinstance(moment.given, TimerDue) and isinstance(legs.get(step), Pausing)
                assert given_room or paused or moment.borne[0] >> saga.place[step] & 1


@examples
@given(lives())
def test_what_has_room_does_not_wait(life: Life) -> None:
    """Where there is room a step is asked for, and does not wait first; but one that failed waits its turn."""
    saga, moments = life
    for moment in moments:
        failed = moment.given.step if isinstance(moment.given, Failed) else None
        for leg in getattr(moment.after.state, "legs", ()):
            waits = isinstance(leg, Waiting) and leg not in getattr(moment.before.state, "legs", ())
            assert not (waits and leg.step != failed and moment.borne[0] >> saga.place[leg.step] & 1)


@examples
@given(lives())
def test_a_failed_command_keeps_its_room_where_it_is_borne(life: Life) -> None:
    """Then it pauses, and is asked for when the pause is over; elsewhere it waits for room like any other."""
    saga, moments = life
    for moment in moments:
        if moment.events and "because" not in moment.events[0] and len(moment.events) == 1:
            (event,) = moment.events
            if event["type"] in ("saga.step.failed", "saga.compensation.failed"):
                (leg,) = (leg for leg in moment.after.state.legs if leg.step == event["step"])  # type: ignore[union-attr]
                assert isinstance(leg, Pausing if moment.borne[1] >> saga.place[leg.step] & 1 else Waiting)


@examples
@given(lives())
def test_nothing_happens_after_the_end(life: Life) -> None:
    """Once completed or rolled back, a saga only records what it ignores or refuses, until it is forgotten in time."""
    for moment in life[1]:
        if isinstance(moment.before.state, FINAL):
            quiet = {"saga.reply.ignored", "saga.cancel.refused", "saga.operation.refused"}
            assert {event["type"] for event in moment.events} <= quiet
            due = moment.given == TimerDue(moment.before.state.forget_ms)
            assert isinstance(moment.verdict, Forgotten) == due
            assert due or moment.after.state == moment.before.state
        else:
            assert not isinstance(moment.verdict, Forgotten)


@examples
@given(lives())
def test_what_is_ignored_or_refused_changes_nothing(life: Life) -> None:
    """Such an event stands alone, and whatever is told otherwise moves the state."""
    for moment in life[1]:
        types = [event["type"] for event in moment.events]
        if any("ignored" in type or type.endswith(("cancel.refused", "operation.refused")) for type in types):
            assert len(types) == 1
            assert moment.after.state == moment.before.state
        elif types:
            assert moment.after.state != moment.before.state


OUTCOME_OF = {Completed: {"order.completed"}, RolledBack: {"order.rejected", "order.cancelled"}}


@examples
@given(lives())
def test_the_shop_hears_of_every_end_once(life: Life) -> None:
    """A decision has one outcome at most: the final one at the end, one when it gets stuck, or a refused cancel."""
    for moment in life[1]:
        told = [effect.type for effect in moment.sent if isinstance(effect, SendOutcome)]
        assert len(told) <= 1
        types = [event["type"] for event in moment.events]
        ended = isinstance(moment.after.state, FINAL) and not isinstance(moment.before.state, FINAL)
        expected = OUTCOME_OF[type(moment.after.state)] if ended else set()
        assert len([type for type in told if type in expected]) == ended
        assert told.count("order.stuck") == types.count("saga.stuck")
        assert told.count("order.cancel.refused") == types.count("saga.cancel.refused")
        assert set(told) <= expected | {"order.stuck", "order.cancel.refused"}


@examples
@given(lives())
def test_a_completed_order_names_every_result(life: Life) -> None:
    """Each step's result is the one that its success gave; one that was taken as done by hand has none."""
    results: dict[str, str] = {"order_id": ID}
    for moment in life[1]:
        done = [event for event in moment.events if event["type"] == "saga.step.succeeded"]
        if isinstance(moment.given, Succeeded) and done:
            results[life[0].step(moment.given.step).result] = moment.given.result
        for effect in moment.sent:
            if effect.type == "order.completed":
                assert effect.value == results


@examples
@given(lives())
def test_nothing_is_stuck_silently(life: Life) -> None:
    """A saga that has begun waits for a time, for room, or for a person; what an attempt waits for lies ahead."""
    for moment in life[1]:
        state = moment.after.state
        legs = getattr(state, "legs", ())
        waits = any(isinstance(leg, Waiting) for leg in legs) or bool(stuck(state))
        assert due_ms(state) is not None or waits or isinstance(state, NotStarted)
        for leg in set(map(repr, legs)) - set(map(repr, getattr(moment.before.state, "legs", ()))):
            again = next(one for one in legs if repr(one) == leg)
            assert not isinstance(again, Asked | Pausing) or again.due_ms >= moment.at


@examples
@given(lives())
def test_the_deadline_counts_as_long_as_there_is_a_way_back(life: Life) -> None:
    """It stands in the state exactly that long, fires at its time alone, and then the saga goes back."""
    saga, moments = life
    book = Book(saga)
    for moment in moments:
        for event in moment.events:
            if event.get("because", {}).get("reason") == TOO_LATE:  # type: ignore[attr-defined]
                assert book.can_go_back()
                assert moment.given == TimerDue(getattr(moment.before.state, "deadline_ms", -1))
            book.take(event)
        if isinstance(moment.after.state, Running):
            started = moment.after.state.facts.started_ms
            deadline = started + saga.deadline_ms if saga.deadline_ms is not None else None
            assert moment.after.state.deadline_ms == (deadline if book.can_go_back() else None)


@many
@given(lives())
def test_who_wishes_to_go_back_does_as_long_as_it_can_be_done(life: Life) -> None:
    """A cancel is heard exactly then, an operator also where a pivot is stuck: both are answered everywhere."""
    saga, moments = life
    book = Book(saga)
    for moment in moments:
        if isinstance(moment.given, Cancel | Compensate) and not isinstance(moment.before.state, NotStarted):
            by_hand = isinstance(moment.given, Compensate) and book.pivot_is_stuck()
            heard = isinstance(moment.before.state, Running) and (book.can_go_back() or by_hand)
            assert isinstance(moment.after.state, Compensating | RolledBack) or not heard
            assert (moment.after.state != moment.before.state) == heard
            assert moment.events
        for event in moment.events:
            book.take(event)


@many
@given(lives())
def test_a_person_sees_to_what_was_meant_and_to_nothing_else(life: Life) -> None:
    """To the stuck step that was named, or without a name to all of them, where one alone can be skipped."""
    for moment in life[1]:
        wish = moment.given
        if isinstance(wish, Retry | Skip) and not isinstance(moment.before.state, NotStarted):
            parked = [leg.step for leg in stuck(moment.before.state)]
            meant = [step for step in parked if wish.step in (None, step)]
            heard = len(meant) == 1 or (bool(meant) and isinstance(wish, Retry))
            assert moment.events[0].get("steps") == (meant if heard else None)
            after = [leg.step for leg in stuck(moment.after.state)]
            assert after == [step for step in parked if not (heard and step in meant)]


TEMPERS = ("silent", "failing", "failing for good", "refusing", "answering")


@pytest.mark.parametrize("temper", TEMPERS)
def test_every_saga_ends_or_waits_for_a_person(temper: str) -> None:
    """From wherever it is, a saga whose participants have room and keep one temper comes to rest, in bounded time."""

    @examples
    @given(lives())
    def rests(life: Life) -> None:
        saga, moments = life
        progress = _rested(saga, moments[-1].after, temper)
        assert isinstance(progress.state, FINAL) or stuck(progress.state) or progress == UNKNOWN

    rests()


@pytest.mark.parametrize("temper", TEMPERS)
def test_a_person_can_end_every_saga(temper: str) -> None:
    """Whoever skips what is stuck, as often as something is, sees the saga end."""

    @examples
    @given(lives())
    def ends(life: Life) -> None:
        saga, moments = life
        progress = _rested(saga, moments[-1].after, temper)
        for _ in range(2 * len(saga.steps)):
            for leg in stuck(progress.state)[:1]:
                wish = Skip("m", "olga", "by hand", leg.step)
                progress = _rested(saga, tell(saga, progress, wish, 0).after, temper)
        assert isinstance(progress.state, FINAL) or progress == UNKNOWN

    ends()


@examples
@given(lives())
def test_good_answers_end_every_saga_as_it_began(life: Life) -> None:
    """A saga that goes forward and is answered well is completed; one that goes back is rolled back."""
    saga, moments = life
    before = moments[-1].after
    if isinstance(before.state, Running | Compensating) and not stuck(before.state):
        end = Completed if isinstance(before.state, Running) else RolledBack
        assert type(_rested(saga, before, "answering").state) is end


def _rested(saga: Saga, progress: Progress, temper: str) -> Progress:
    """The saga at rest; fails when it takes more moments than its attempts allow."""
    most = sum(6 * (step.do.retry.attempts + (step.undo or step.do).retry.attempts) for step in saga.steps)
    for _ in range(most):
        given = _tempered(saga, progress.state, temper)
        if given is None:
            return progress
        progress = tell(saga, progress, given, due_ms(progress.state) or 0).after
    raise AssertionError(f"after {most} moments it is still {progress.state}")


def _tempered(saga: Saga, state: Any, temper: str) -> Input | None:
    """What the first step that is neither stuck nor done is told next; None when there is none."""
    leg = next((leg for leg in getattr(state, "legs", ()) if not isinstance(leg, Stuck)), None)
    if leg is None:
        return None
    if isinstance(leg, Waiting):
        return RoomFor(leg.step)
    if temper == "silent" or (isinstance(leg, Pausing) and temper == "failing"):
        return TimerDue(due_ms(state) or 0)
    forward, step = isinstance(state, Running), saga.step(leg.step)
    what = {"failing": "fail", "refusing": "refuse"}.get(temper, temper)
    if temper == "answering" or (temper == "refusing" and not (forward and step.refused)):
        what = "succeed" if forward else "undo"
    return reply(what, step, command_id(ID, leg.step, "do" if forward else "undo", leg.attempt))


def test_a_place_is_the_only_beginning() -> None:
    """Of all that there is to be told, an order alone starts a saga."""
    for _, life in any_lives(300, 3):
        for moment in life:
            if isinstance(moment.before.state, NotStarted):
                assert isinstance(moment.given, Place) == (moment.after != UNKNOWN)
