"""What holds for every saga, whatever it is told, in whatever order, at whatever time."""

import os
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
from app.saga.evolve import advance
from app.saga.identity import command_id, effect_key
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Input,
    Place,
    Refused,
    Retry,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import (
    FINAL,
    STATES,
    UNKNOWN,
    CompensationPausing,
    Completed,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    Stuck,
    Waiting,
    due_ms,
)
from app.saga.verdict import Decision
from app.wire import statedoc
from tests.saga.lives import ID, URGES, Moment, Urge, live, saga_of, some_lives, tell, trace
from tests.saga.shapes import misshapen

Life = tuple[Saga, list[Moment]]
examples = settings(max_examples=settings().max_examples // 3)

PLACED: Urge = ("place", "awaited", 0)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """A saga of one to five steps, and its life up to some moment."""
    attempts = st.tuples(st.integers(1, 3), st.integers(1, 3))
    saga = saga_of(draw(st.lists(attempts, min_size=1, max_size=5)))
    dice = draw(st.binary(min_size=draw(st.sampled_from((0, 24, 48))), max_size=80))
    urges = [URGES[int.from_bytes(pair) % len(URGES)] for pair in zip(dice[::2], dice[1::2], strict=False)]
    before = draw(st.sampled_from((0, 0, 0, 1, 2)))
    return saga, live(saga, [*urges[:before], PLACED, *urges[before:]])


def test_lives_lead_everywhere() -> None:
    """The properties below are shown lives that reach every kind of state."""
    reached: set[type] = set()

    @examples
    @given(lives())
    def collect(life: Life) -> None:
        reached.update(type(moment.after.state) for moment in life[1])

    collect()
    assert reached | {NotStarted} == set(STATES)


@examples
@given(lives())
def test_the_same_life_twice_is_the_same_to_the_byte(life: Life) -> None:
    """Events, state and what is sent follow from what was told and when, and from nothing else."""
    saga, moments = life
    again, progress = [], UNKNOWN
    for moment in deepcopy(moments):
        again.append(tell(deepcopy(saga), progress, moment.given, moment.at))
        progress = again[-1].after
    assert trace(again) == trace(moments)


def test_another_process_decides_the_same_to_the_byte() -> None:
    """Nothing hangs on the seed with which a process hashes its strings."""
    code = (
        "import sys; from tests.saga.lives import *; sys.stdout.buffer.write(b'|'.join(map(trace, some_lives(20, 1))))"
    )
    root, command = Path(__file__).parents[2], [sys.executable, "-c", code]
    told = [
        subprocess.run(command, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        for seed in ("1", "2")
    ]
    here = b"|".join(map(trace, some_lives(20, 1)))
    assert told[0].stdout == told[1].stdout == here


@examples
@given(lives())
def test_the_log_folds_to_the_state(life: Life) -> None:
    """The events, read back as JSON, give the state after every decision; so does the state's own document."""
    saga, moments = life
    progress = UNKNOWN
    for moment in moments:
        if isinstance(moment.verdict, Decision):
            progress = advance(saga, progress, orjson.loads(orjson.dumps(moment.events)))
            assert statedoc.decode(statedoc.encode(moment.after)) == moment.after
        assert progress == moment.after


@examples
@given(lives())
def test_decisions_are_numbered_without_gaps(life: Life) -> None:
    """Each decision has the next number and at least one event; what is no decision has none."""
    for moment in life[1]:
        assert moment.after.seq == moment.before.seq + isinstance(moment.verdict, Decision)
        assert bool(moment.events) == isinstance(moment.verdict, Decision)


@examples
@given(lives())
def test_deciding_changes_nothing_that_it_was_given(life: Life) -> None:
    """Inputs, states and the saga are as they were, and so is what was decided before."""
    saga, moments = life
    copies = deepcopy((saga, moments))
    for moment in moments:
        tell(saga, moment.before, moment.given, moment.at)
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


@examples
@given(lives())
def test_a_decision_sends_one_thing_at_most(life: Life) -> None:
    """A command or an outcome; and only a decision sends."""
    for moment in life[1]:
        assert len(moment.sent) <= bool(moment.events)


@examples
@given(lives())
def test_a_command_follows_from_what_was_awaited(life: Life) -> None:
    """At any time one effect at most is awaited; another one is asked for only when that one is settled or given up."""
    saga, moments = life
    for moment in moments:
        for command in moment.sent:
            if isinstance(command, SendCommand):
                assert command.id in _next_commands(saga, moment.before, moment.given)


def _next_commands(saga: Saga, progress: Progress, given: Input) -> set[str]:
    """Which commands an input may lead to: the whole protocol, as ids."""
    state: Any = progress.state
    if isinstance(state, NotStarted):
        return {command_id(ID, saga.steps[0].name, "do", 1)} if isinstance(given, Place) else set()
    if isinstance(state, FINAL):
        return set()
    after, before = saga.after(state.step), saga.before(state.step)
    up = {command_id(ID, after.name, "do", 1)} if after else set()
    down = {command_id(ID, before.name, "undo", 1)} if before else set()
    give_up = {command_id(ID, state.step, "undo", 1)}
    again = {command_id(ID, state.step, "do" if isinstance(state, Running | Pausing) else "undo", state.attempt + 1)}
    if isinstance(state, Running | Pausing):
        timed = again if isinstance(state, Pausing) else again | give_up
        wishes: dict[type, set[str]] = {Cancel: give_up, Compensate: give_up, Failed: give_up, TimerDue: timed}
        return {**wishes, Succeeded: up, Refused: down}.get(type(given), set())
    if isinstance(state, Stuck):
        return {Retry: again, Skip: down, Undone: down}.get(type(given), set())
    return {TimerDue: again, Undone: down}.get(type(given), set())


@examples
@given(lives())
def test_what_may_have_happened_is_undone_newest_first(life: Life) -> None:
    """Exactly the steps asked for and not refused are undone, in reverse, each when the one before it is settled."""
    asked: list[str] = []
    undone: list[str] = []
    settled = True
    for moment in life[1]:
        for event in moment.events:
            match event["type"]:
                case "saga.step.requested":
                    asked += [event["step"]] if event["attempt"] == 1 else []
                    assert not undone
                case "saga.step.refused":
                    asked.remove(event["step"])
                case "saga.compensation.requested" if event["attempt"] == 1:
                    assert settled
                    undone.append(event["step"])
                    settled = False
                case "saga.compensation.succeeded":
                    settled = True
                case "saga.operated":
                    settled = settled or event["operation"] == "saga.skip"
                case "saga.rolled_back":
                    assert settled
                    assert undone == asked[::-1]
                case "saga.completed":
                    assert not undone
        assert undone == asked[::-1][: len(undone)]


@examples
@given(lives())
def test_nothing_happens_after_the_end(life: Life) -> None:
    """Once completed or rolled back, a saga only records what it ignores or refuses, and keeps its state."""
    for moment in life[1]:
        if isinstance(moment.before.state, FINAL):
            quiet = {"saga.reply.ignored", "saga.cancel.refused", "saga.operation.refused"}
            assert {event["type"] for event in moment.events} <= quiet
            assert moment.after.state == moment.before.state


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


OUTCOME_OF = {Completed: {"order.completed"}, RolledBack: {"order.rejected", "order.cancelled"}, Stuck: {"order.stuck"}}


@examples
@given(lives())
def test_the_shop_hears_of_every_end_once(life: Life) -> None:
    """An outcome is sent by the decision that ends the saga or leaves it stuck, and by refused cancels alone."""
    for moment in life[1]:
        told = {effect.type for effect in moment.sent if isinstance(effect, SendOutcome)}
        arrived = type(moment.after.state) is not type(moment.before.state)
        if told - {"order.cancel.refused"}:
            assert arrived
            assert told <= OUTCOME_OF[type(moment.after.state)]
        elif arrived:
            assert type(moment.after.state) not in OUTCOME_OF


@examples
@given(lives())
def test_a_completed_order_names_every_result(life: Life) -> None:
    """Each step's result is the one that its success gave."""
    results: dict[str, str] = {"order_id": ID}
    for moment in life[1]:
        if (
            isinstance(moment.given, Succeeded)
            and moment.events[:1]
            and moment.events[0]["type"] == "saga.step.succeeded"
        ):
            results[life[0].step(moment.given.step).result] = moment.given.result
        for effect in moment.sent:
            if effect.type == "order.completed":
                assert effect.value == results


@examples
@given(lives())
def test_a_saga_waits_for_a_person_or_has_a_time(life: Life) -> None:
    """Every state that is neither an end nor stuck has a time set, and it lies ahead."""
    for moment in life[1]:
        due = due_ms(moment.after.state)
        assert (due is not None) == isinstance(moment.after.state, Waiting)
        assert due is None or moment.after.state == moment.before.state or due >= moment.at


@pytest.mark.parametrize("temper", ("silent", "failing", "failing for good", "refusing", "answering"))
def test_every_saga_ends_or_waits_for_a_person(temper: str) -> None:
    """From wherever it is, a saga whose participants keep one temper comes to rest in a bounded number of moments."""

    @examples
    @given(lives())
    def rests(life: Life) -> None:
        saga, moments = life
        _rested(saga, moments[-1].after, temper)

    rests()


@examples
@given(lives())
def test_a_person_can_end_every_saga(life: Life) -> None:
    """Whoever skips each undo that is stuck sees the saga rolled back."""
    saga, moments = life
    progress = _rested(saga, moments[-1].after, "silent")
    for _ in saga.steps:
        if isinstance(progress.state, Stuck):
            progress = _rested(saga, tell(saga, progress, Skip("m", "olga", "by hand"), 0).after, "silent")
    assert isinstance(progress.state, FINAL)


def _rested(saga: Saga, progress: Progress, temper: str) -> Progress:
    """The saga at rest; fails when it takes more moments than its attempts allow."""
    most = sum(2 * (step.do.retry.attempts + step.undo.retry.attempts) for step in saga.steps)
    for _ in range(most + 1):
        state = progress.state
        if not isinstance(state, Waiting):
            return progress
        progress = tell(saga, progress, _tempered(saga, state, temper), state.due_ms).after
    raise AssertionError(f"after {most} moments it is still {progress.state}")


def _tempered(saga: Saga, state: Waiting, temper: str) -> Input:
    paused, forward = isinstance(state, Pausing | CompensationPausing), isinstance(state, Running | Pausing)
    step, command = saga.step(state.step), effect_key(ID, state.step, "do" if forward else "undo") + f":{state.attempt}"
    if temper == "silent" or (paused and temper == "failing"):
        return TimerDue(state.due_ms)
    if temper == "answering" or (temper == "refusing" and not forward):
        if forward:
            return Succeeded("m", step.succeeded, step.name, command, "done")
        return Undone("m", step.undone, step.name, command)
    if temper == "refusing":
        return Refused("m", step.refused, step.name, command, "no")
    return Failed("m", step.failed, step.name, command, "broken", retryable=temper == "failing")
