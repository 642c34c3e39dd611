"""Properties of every saga, for any inputs in any order at any time."""

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
from app.saga.evolve import EVENT_TYPES, fold
from app.saga.handlers.attempts import TOO_LATE
from app.saga.message_ids import command_id
from app.saga.messages import (
    Cancel,
    CapacityAvailable,
    Compensate,
    Failed,
    Input,
    Place,
    Retry,
    Skip,
    Succeeded,
    TimerDue,
)
from app.saga.outputs import SendCommand, SendOutcome
from app.saga.state import (
    ACTIVE_STEPS,
    FINAL,
    NO_SAGA,
    STATES,
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    NotStarted,
    Progress,
    Queued,
    RolledBack,
    Running,
    Stuck,
    due_ms,
    stuck,
)
from app.saga.verdict import DeadLettered, Decision, Expired, NoChange
from app.wire import state_codec
from tests.saga.event_shapes import shape_errors
from tests.saga.order_messages import ID
from tests.saga.random_sagas import (
    PLACE_ORDER,
    Moment,
    handle,
    intent,
    random_runs,
    random_saga,
    reply,
    run_saga,
    trace,
)
from tests.saga.reference_model import ReferenceModel, check_run

Run = tuple[Saga, list[Moment]]
examples = settings(max_examples=settings().max_examples)
many_examples = settings(max_examples=settings().max_examples * 5)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    """Any saga and a run of it. Its intents are drawn at random, so that hypothesis shrinks a failure at its end."""
    saga = random_saga(lambda among: draw(st.sampled_from(among)))
    chance = random.Random(draw(st.integers(0, 2**32)))
    intents = [intent(chance.getrandbits(24)) for _ in range(draw(st.sampled_from((*range(40), *(40,) * 40))))]
    before = draw(st.sampled_from((0, 0, 0, 1, 2)))
    return saga, run_saga(saga, [*intents[:before], PLACE_ORDER, *intents[before:]])


def test_runs_reach_everything() -> None:
    """The runs below reach every state, event and verdict, and each status of an active step."""
    reached: set[Any] = set()

    @many_examples
    @given(runs())
    def collect(run: Run) -> None:
        for moment in run[1]:
            state = moment.after.state
            reached.update((type(state), type(moment.verdict), *(event["type"] for event in moment.events)))
            reached.update((type(state), type(active)) for active in getattr(state, "active_steps", ()))

    collect()
    active_steps = {(state, active) for state in (Running, Compensating) for active in ACTIVE_STEPS}
    assert reached == {*STATES, *active_steps, *EVENT_TYPES, Decision, NoChange, DeadLettered, Expired}


@examples
@given(runs())
def test_the_same_run_twice_gives_the_same_bytes(run: Run) -> None:
    """Events, state and messages depend on inputs, times and capacity alone."""
    saga, moments = run
    repeated, progress = [], NO_SAGA
    for moment in deepcopy(moments):
        repeated.append(handle(deepcopy(saga), progress, moment.given, moment.at, moment.capacity))
        progress = repeated[-1].after
    assert trace(repeated) == trace(moments)


def test_another_process_gives_the_same_bytes() -> None:
    """Nothing depends on the seed with which a process hashes strings."""
    code = (
        "import sys; from tests.saga.random_sagas import *; "
        "sys.stdout.buffer.write(b'|'.join(trace(run) for _, run in random_runs(20, 1)))"
    )
    root, command = Path(__file__).parents[2], [sys.executable, "-c", code]
    outputs = [
        subprocess.run(command, cwd=root, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True)
        for seed in ("1", "2")
    ]
    in_this_process = b"|".join(trace(run) for _, run in random_runs(20, 1))
    assert outputs[0].stdout == outputs[1].stdout == in_this_process


@examples
@given(runs())
def test_the_log_folds_to_the_state(run: Run) -> None:
    """Events read back from JSON fold to the same bytes of state after every decision; so does the state document."""
    saga, moments = run
    progress = NO_SAGA
    for moment in moments:
        if isinstance(moment.verdict, Decision):
            document = state_codec.encode(moment.after)
            progress = fold(
                saga, progress, orjson.loads(orjson.dumps(moment.events)), getattr(moment.given, "id", None)
            )
            assert state_codec.decode(document) == moment.after
            assert state_codec.encode(state_codec.decode(document)) == state_codec.encode(progress) == document
        assert progress == moment.after or isinstance(moment.verdict, Expired)


@examples
@given(runs())
def test_decisions_are_numbered_without_gaps(run: Run) -> None:
    """A decision has the next number and at least one event; any other verdict has none."""
    for moment in run[1]:
        if not isinstance(moment.verdict, Expired):
            assert moment.after.seq == moment.before.seq + isinstance(moment.verdict, Decision)
        assert bool(moment.events) == isinstance(moment.verdict, Decision)


@examples
@given(runs())
def test_deciding_changes_none_of_its_arguments(run: Run) -> None:
    """The saga, states, inputs and earlier decisions stay equal to their copies."""
    saga, moments = run
    copies = deepcopy((saga, moments))
    for moment in moments:
        handle(saga, moment.before, moment.given, moment.at, moment.capacity)
    assert (saga, moments) == copies


@examples
@given(runs())
def test_events_are_as_their_types_say(run: Run) -> None:
    """Each event has exactly the fields that its type declares, with the declared types."""
    for moment in run[1]:
        for event in moment.events:
            assert shape_errors(event) == []


@examples
@given(runs())
def test_no_command_is_sent_twice(run: Run) -> None:
    """Ids count from 1 per idempotency key, whatever else happens."""
    sent: dict[str, int] = defaultdict(int)
    for moment in run[1]:
        for command in moment.sent:
            if isinstance(command, SendCommand):
                sent[command.idempotency_key] += 1
                assert command.id == f"{command.idempotency_key}:{sent[command.idempotency_key]}"
                assert command.value["order_id"] == ID


@many_examples
@given(runs())
def test_the_reference_model_allows_every_run(run: Run) -> None:
    """Steps in order, undone in reverse, never twice, never past the pivot, never above their attempts."""
    check_run(*run)


def test_the_reference_model_allows_thousands_of_random_runs() -> None:
    """As above, far from the simplest examples. Enough of the runs complete, and enough roll back."""
    reached: dict[type, int] = defaultdict(int)
    for seed in range(3_000):
        for saga, run in random_runs(1, seed):
            try:
                check_run(saga, run)
            except AssertionError as error:
                raise AssertionError(f"the run of seed {seed} breaks the reference model") from error
            for state in {type(moment.after.state) for moment in run}:
                reached[state] += 1
    assert min(reached[state] for state in (Running, Compensating, Completed, RolledBack)) > 500


@examples
@given(runs())
def test_a_command_is_sent_only_with_capacity(run: Run) -> None:
    """Otherwise it is queued. The exceptions: a step that backed off keeps its slot, an admitted step has one."""
    saga, moments = run
    for moment in moments:
        active_steps = {active.step: active for active in getattr(moment.before.state, "active_steps", ())}
        for event in moment.events:
            if event["type"] in ("saga.step.requested", "saga.compensation.requested"):
                step: str = event["step"]
                admitted = isinstance(moment.given, CapacityAvailable) and moment.given.step == step
                backed_off = isinstance(moment.given, TimerDue) and isinstance(active_steps.get(step), BackingOff)
                assert admitted or backed_off or moment.capacity[0] >> saga.step_index[step] & 1


@examples
@given(runs())
def test_a_step_with_capacity_is_not_queued(run: Run) -> None:
    """It is sent at once, unless it has just failed."""
    saga, moments = run
    for moment in moments:
        failed = moment.given.step if isinstance(moment.given, Failed) else None
        for active in getattr(moment.after.state, "active_steps", ()):
            waiting = isinstance(active, Queued) and active not in getattr(moment.before.state, "active_steps", ())
            assert not (waiting and active.step != failed and moment.capacity[0] >> saga.step_index[active.step] & 1)


@examples
@given(runs())
def test_a_failed_step_backs_off_if_it_keeps_its_slot(run: Run) -> None:
    """Otherwise it is queued."""
    saga, moments = run
    for moment in moments:
        if moment.events and "because" not in moment.events[0] and len(moment.events) == 1:
            (event,) = moment.events
            if event["type"] in ("saga.step.failed", "saga.compensation.failed"):
                (active,) = (active for active in moment.after.state.active_steps if active.step == event["step"])  # type: ignore[union-attr]
                assert isinstance(
                    active, BackingOff if moment.capacity[1] >> saga.step_index[active.step] & 1 else Queued
                )


@examples
@given(runs())
def test_nothing_happens_after_the_end(run: Run) -> None:
    """An ended saga only records what it ignores or refuses, until it expires at its time."""
    for moment in run[1]:
        if isinstance(moment.before.state, FINAL):
            unchanging = {"saga.reply.ignored", "saga.cancel.refused", "saga.operation.refused"}
            assert {event["type"] for event in moment.events} <= unchanging
            due = moment.given == TimerDue(moment.before.state.forget_ms)
            assert isinstance(moment.verdict, Expired) == due
            assert due or moment.after.state == moment.before.state
        else:
            assert not isinstance(moment.verdict, Expired)


@examples
@given(runs())
def test_an_ignored_or_refused_input_changes_nothing(run: Run) -> None:
    """Its event is the only one of the decision; any other decision changes the state."""
    for moment in run[1]:
        types = [event["type"] for event in moment.events]
        if any("ignored" in type or type.endswith(("cancel.refused", "operation.refused")) for type in types):
            assert len(types) == 1
            assert moment.after.state == moment.before.state
        elif types:
            assert moment.after.state != moment.before.state


OUTCOME_OF = {Completed: {"order.completed"}, RolledBack: {"order.rejected", "order.cancelled"}}


@examples
@given(runs())
def test_every_end_has_one_outcome(run: Run) -> None:
    """A decision has one outcome at most: of the end, of a stuck step, or of a refused cancel."""
    for moment in run[1]:
        outcomes = [output.type for output in moment.sent if isinstance(output, SendOutcome)]
        assert len(outcomes) <= 1
        types = [event["type"] for event in moment.events]
        ended = isinstance(moment.after.state, FINAL) and not isinstance(moment.before.state, FINAL)
        expected = OUTCOME_OF[type(moment.after.state)] if ended else set()
        assert len([type for type in outcomes if type in expected]) == ended
        assert outcomes.count("order.stuck") == types.count("saga.stuck")
        assert outcomes.count("order.cancel.refused") == types.count("saga.cancel.refused")
        assert set(outcomes) <= expected | {"order.stuck", "order.cancel.refused"}


@examples
@given(runs())
def test_a_completed_order_names_every_result(run: Run) -> None:
    """Each result is that of the reply that counted; a step that was skipped has none."""
    results: dict[str, str] = {"order_id": ID}
    for moment in run[1]:
        done = [event for event in moment.events if event["type"] == "saga.step.succeeded"]
        if isinstance(moment.given, Succeeded) and done:
            results[run[0].step(moment.given.step).result] = moment.given.result
        for output in moment.sent:
            if output.type == "order.completed":
                assert output.value == results


@examples
@given(runs())
def test_nothing_is_stuck_silently(run: Run) -> None:
    """A started saga has a timer, a queued step or a stuck step; the timer of a new attempt lies ahead."""
    for moment in run[1]:
        state = moment.after.state
        active_steps = getattr(state, "active_steps", ())
        waiting = any(isinstance(active, Queued) for active in active_steps) or bool(stuck(state))
        assert due_ms(state) is not None or waiting or isinstance(state, NotStarted)
        for new in set(map(repr, active_steps)) - set(map(repr, getattr(moment.before.state, "active_steps", ()))):
            active = next(one for one in active_steps if repr(one) == new)
            assert not isinstance(active, InFlight | BackingOff) or active.due_ms >= moment.at


@examples
@given(runs())
def test_the_deadline_counts_as_long_as_the_saga_can_roll_back(run: Run) -> None:
    """Exactly that long the state has it; it fires at its time alone, and starts the rollback."""
    saga, moments = run
    model = ReferenceModel(saga)
    for moment in moments:
        for event in moment.events:
            if event.get("because", {}).get("reason") == TOO_LATE:  # type: ignore[attr-defined]
                assert model.can_roll_back()
                assert moment.given == TimerDue(getattr(moment.before.state, "deadline_ms", -1))
            model.apply(event)
        if isinstance(moment.after.state, Running):
            started = moment.after.state.data.started_ms
            deadline = started + saga.deadline_ms if saga.deadline_ms is not None else None
            assert moment.after.state.deadline_ms == (deadline if model.can_roll_back() else None)


@many_examples
@given(runs())
def test_a_rollback_on_request_starts_exactly_if_it_can(run: Run) -> None:
    """A cancel needs a saga that can roll back; a compensate also works on a stuck pivot. Both are always answered."""
    saga, moments = run
    model = ReferenceModel(saga)
    for moment in moments:
        if isinstance(moment.given, Cancel | Compensate) and not isinstance(moment.before.state, NotStarted):
            by_hand = isinstance(moment.given, Compensate) and model.pivot_is_stuck()
            accepted = isinstance(moment.before.state, Running) and (model.can_roll_back() or by_hand)
            assert isinstance(moment.after.state, Compensating | RolledBack) or not accepted
            assert (moment.after.state != moment.before.state) == accepted
            assert moment.events
        for event in moment.events:
            model.apply(event)


@many_examples
@given(runs())
def test_an_operation_acts_on_the_stuck_steps_that_it_names(run: Run) -> None:
    """Without a name it acts on all of them; a skip then needs a single one."""
    for moment in run[1]:
        operation = moment.given
        if isinstance(operation, Retry | Skip) and not isinstance(moment.before.state, NotStarted):
            stuck_steps = [active.step for active in stuck(moment.before.state)]
            named = [step for step in stuck_steps if operation.step in (None, step)]
            accepted = len(named) == 1 or (bool(named) and isinstance(operation, Retry))
            assert moment.events[0].get("steps") == (named if accepted else None)
            after = [active.step for active in stuck(moment.after.state)]
            assert after == [step for step in stuck_steps if not (accepted and step in named)]


BEHAVIOURS = ("silent", "failing", "failing for good", "refusing", "answering")


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_every_saga_ends_or_gets_stuck(behaviour: str) -> None:
    """From any state, if its participants have capacity and always behave alike, a saga settles within bounded time."""

    @examples
    @given(runs())
    def settles(run: Run) -> None:
        saga, moments = run
        progress = _settled(saga, moments[-1].after, behaviour)
        assert isinstance(progress.state, FINAL) or stuck(progress.state) or progress == NO_SAGA

    settles()


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_an_operator_can_end_every_saga(behaviour: str) -> None:
    """By skipping stuck steps for as long as there are any."""

    @examples
    @given(runs())
    def ends(run: Run) -> None:
        saga, moments = run
        progress = _settled(saga, moments[-1].after, behaviour)
        for _ in range(2 * len(saga.steps)):
            for active in stuck(progress.state)[:1]:
                operation = Skip("m", "olga", "by hand", active.step)
                progress = _settled(saga, handle(saga, progress, operation, 0).after, behaviour)
        assert isinstance(progress.state, FINAL) or progress == NO_SAGA

    ends()


@examples
@given(runs())
def test_good_replies_complete_a_running_saga_and_roll_a_compensating_one_back(run: Run) -> None:
    """Unless a step is stuck."""
    saga, moments = run
    before = moments[-1].after
    if isinstance(before.state, Running | Compensating) and not stuck(before.state):
        end = Completed if isinstance(before.state, Running) else RolledBack
        assert type(_settled(saga, before, "answering").state) is end


def _settled(saga: Saga, progress: Progress, behaviour: str) -> Progress:
    """The progress of the saga once it has ended or is stuck; fails if it takes more inputs than its attempts allow."""
    most = sum(6 * (step.do.retry.attempts + (step.undo or step.do).retry.attempts) for step in saga.steps)
    for _ in range(most):
        given = _next_input(saga, progress.state, behaviour)
        if given is None:
            return progress
        progress = handle(saga, progress, given, due_ms(progress.state) or 0).after
    raise AssertionError(f"after {most} inputs it is still {progress.state}")


def _next_input(saga: Saga, state: Any, behaviour: str) -> Input | None:
    """The next input for the first active step that is not stuck; None if there is none."""
    active = next((active for active in getattr(state, "active_steps", ()) if not isinstance(active, Stuck)), None)
    if active is None:
        return None
    if isinstance(active, Queued):
        return CapacityAvailable(active.step)
    if behaviour == "silent" or (isinstance(active, BackingOff) and behaviour == "failing"):
        return TimerDue(due_ms(state) or 0)
    forward, step = isinstance(state, Running), saga.step(active.step)
    kind = {"failing": "fail", "refusing": "refuse"}.get(behaviour, behaviour)
    if behaviour == "answering" or (behaviour == "refusing" and not (forward and step.refused)):
        kind = "succeed" if forward else "undo"
    return reply(kind, step, command_id(ID, active.step, "do" if forward else "undo", active.attempt))


def test_only_an_order_starts_a_saga() -> None:
    """Of all inputs, no other changes the state of an unknown order."""
    for _, run in random_runs(300, 3):
        for moment in run:
            if isinstance(moment.before.state, NotStarted):
                assert isinstance(moment.given, Place) == (moment.after != NO_SAGA)
