"""The engine's clock on a bad day: jumps, NTP steps, suspended machines, and pods whose clocks differ."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.runtime.clock import SteadyClock
from app.saga.decide import decide
from app.saga.messages import Input, TimerDue
from app.saga.state import NO_SAGA, Compensating, InFlight, Progress, Running, due_ms, stuck
from app.saga.verdict import Decision
from tests.saga.order_messages import ID, cancel, placed
from topologies.order import ORDER

MS, SECOND, MINUTE, HOUR = 1, 1_000, 60_000, 3_600_000
LEAP = -SECOND  # 23:59:59 comes twice
TIMEOUT = 30 * SECOND
JUMPS = (HOUR, -HOUR, LEAP, 300 * MS, -300 * MS)
fewer = settings(max_examples=settings().max_examples // 2)


@dataclass
class MachineClocks:
    """A machine's clocks, moved by hand: `real_ms` is the time that really passed; the wall clock is ahead of it."""

    real_ms: int = 0
    ahead_ms: int = 1_800_000_000_000

    def clock(self, skew: int = 0) -> SteadyClock:
        """A clock that starts now, on a machine whose wall clock is ahead of the others' by `skew` (ms)."""
        return SteadyClock(lambda: self.wall(skew) * 1_000_000, lambda: self.real_ms * 1_000_000)

    def wall(self, skew: int = 0) -> int:
        """The time (ms) on the wall clock."""
        return self.real_ms + self.ahead_ms + skew

    def real_duration(self, duration: int, clock: SteadyClock) -> int:
        """The real time until this duration has passed on the clock, which is read every 10 ms; both in ms."""
        start, until = self.real_ms, clock() + duration
        while clock() < until:
            self.real_ms += 10
        return self.real_ms - start


@pytest.fixture
def clocks() -> MachineClocks:
    """Clocks that agree, at some time."""
    return MachineClocks()


def logged_jumps(caplog: pytest.LogCaptureFixture) -> list[float]:
    """The size (seconds) of each jump in the log."""
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert all(record.getMessage().startswith("wall clock jumped: ") for record in warnings)
    return [vars(record)["jump_seconds"] for record in warnings]


def test_it_agrees_with_the_wall_clock() -> None:
    """With real clocks it agrees with the wall clock to the second."""
    clock = SteadyClock()
    before = time.time_ns() // 1_000_000
    assert before - 1_000 < clock() <= time.time_ns() // 1_000_000 + 1_000


@pytest.mark.parametrize("jump", JUMPS)
def test_4c_36_a_jump_shifts_a_timeout_by_a_tenth_at_most(clocks: MachineClocks, jump: int) -> None:
    """A timeout is neither over at once nor an hour late; a step of 300 ms shifts it by 300 ms at most."""
    clock = clocks.clock()
    clock()
    clocks.ahead_ms += jump
    most = min(abs(jump), TIMEOUT // 10) + 20
    assert abs(clocks.real_duration(TIMEOUT, clock) - TIMEOUT) <= most


@pytest.mark.parametrize("jump", JUMPS)
def test_4c_36_after_a_jump_it_agrees_with_the_wall_clock_again(clocks: MachineClocks, jump: int) -> None:
    """It takes eleven times the jump, not less; then the two agree to the millisecond."""
    clock = clocks.clock()
    clocks.ahead_ms += jump
    clock()
    for _ in range(10):
        clocks.real_ms += abs(jump)
        assert (clocks.wall() - clock()) * jump > 0
    clocks.real_ms += abs(jump) + 1
    assert clock() == clocks.wall()
    clocks.real_ms += HOUR
    assert clock() == clocks.wall()


@pytest.mark.parametrize(("jump", "seconds"), ((HOUR, 3600.0), (-HOUR, -3600.0)))
def test_4c_36_a_jump_is_logged_once(
    clocks: MachineClocks, caplog: pytest.LogCaptureFixture, jump: int, seconds: float
) -> None:
    """One warning with the size of the jump, none for the hours in which it is corrected."""
    clock = clocks.clock()
    clocks.ahead_ms += jump
    for _ in range(1_000):
        clocks.real_ms += MINUTE
        clock()
    (warning,) = logged_jumps(caplog)
    assert warning == seconds


def test_4c_36_small_steps_are_not_logged(clocks: MachineClocks, caplog: pytest.LogCaptureFixture) -> None:
    """Leap seconds and NTP steps are corrected without a warning, however rarely the clock is read."""
    clock = clocks.clock()
    for step in (LEAP, 300 * MS, -300 * MS, 1_000 * MS):
        clocks.ahead_ms += step
        for real_ms in (5, HOUR):
            clocks.real_ms += real_ms
            clock()
    assert logged_jumps(caplog) == []


def test_4c_36_two_jumps_add_up(clocks: MachineClocks, caplog: pytest.LogCaptureFixture) -> None:
    """Two jumps of an hour are corrected like one of two hours; both are logged."""
    clock = clocks.clock()
    for _ in range(2):
        clocks.ahead_ms += HOUR
        clocks.real_ms += HOUR
        clock()
    clocks.real_ms += 19 * HOUR
    assert clock() < clocks.wall()
    clocks.real_ms += HOUR + 1
    assert clock() == clocks.wall()
    assert len(logged_jumps(caplog)) == 2


def test_4c_36_a_jump_there_and_back_cancels_out(clocks: MachineClocks, caplog: pytest.LogCaptureFixture) -> None:
    """Only the correction made in between has to be undone."""
    clock = clocks.clock()
    clocks.ahead_ms += HOUR
    clocks.real_ms += MINUTE
    clock()
    clocks.ahead_ms -= HOUR
    assert 5 * SECOND < clock() - clocks.wall() < 6 * SECOND
    clocks.real_ms += MINUTE + SECOND
    assert clock() == clocks.wall()
    assert len(logged_jumps(caplog)) == 2


def test_4c_36_a_jump_in_idle_time_is_corrected_no_faster(clocks: MachineClocks) -> None:
    """In ten idle minutes the clock gains one minute at most."""
    clock = clocks.clock()
    before = clock()
    clocks.ahead_ms += HOUR
    clocks.real_ms += 10 * MINUTE
    assert 10 * MINUTE < clock() - before <= 11 * MINUTE


def test_4c_36_suspended_time_does_not_count_for_timeouts(clocks: MachineClocks) -> None:
    """The monotonic clock stood still: a timeout goes on where it was, and is late by the suspension at most."""
    clock = clocks.clock()
    due = clock() + TIMEOUT
    clocks.real_ms += 10 * SECOND
    clock()
    clocks.ahead_ms += HOUR
    awake = clocks.real_duration(due - clock(), clock)
    assert 18 * SECOND < awake <= 20 * SECOND
    assert clocks.wall() - due <= HOUR


def test_4c_36_a_restart_takes_the_wall_clock_as_it_is(clocks: MachineClocks) -> None:
    """A new process ignores the corrections of the former one."""
    clock = clocks.clock()
    clocks.ahead_ms += HOUR
    assert clock() == clocks.wall() - HOUR
    assert clocks.clock()() == clocks.wall()


spans = st.one_of(st.integers(0, 20), st.integers(0, 2 * SECOND), st.integers(0, HOUR))
jumps = st.one_of(st.just(0), st.sampled_from(JUMPS), st.integers(-2 * SECOND, 2 * SECOND), st.integers(-HOUR, HOUR))


@given(st.lists(st.tuples(spans, jumps), max_size=60))
def test_4c_36_time_goes_on_whatever_the_wall_clock_does(days: list[tuple[int, int]]) -> None:
    """It never goes back, runs at most a tenth too fast or too slow, and agrees again when the jumps are over."""
    clocks = MachineClocks()
    clock = clocks.clock()
    readings = [(clocks.real_ms, clock())]
    for span, jump in days:
        clocks.ahead_ms += jump
        clocks.real_ms += span
        readings.append((clocks.real_ms, clock()))
    for (start, first), (ended, last) in pairwise(readings):
        assert last >= first
        assert 0.9 * (ended - start) - 1 <= last - first <= 1.1 * (ended - start) + 1
    clocks.real_ms += 11 * (abs(clocks.wall() - clock()) + 1)
    assert clock() == clocks.wall()


# Pods whose clocks differ. A due time was set by the clock of one pod; if the clock of the next owner is ahead, the
# attempt in flight ends early by the difference. All later attempts are timed by one clock.

TICK = 250
STEP = ORDER.step("reservation")
UNDO = STEP.undo or STEP.do
SKEWS = st.integers(-5 * MINUTE, 5 * MINUTE)


@dataclass
class SilentStep:
    """A saga without replies: when each command was sent, and when the step was given up (real ms since the start)."""

    requested_ms: list[int] = field(default_factory=list)
    given_up_ms: int = 0

    @property
    def attempts(self) -> list[tuple[int, int]]:
        """(sent, ended) of each attempt."""
        return list(pairwise([*self.requested_ms, self.given_up_ms]))


def run_silent_step(clocks: MachineClocks, owner: Callable[[int], SteadyClock], inputs: Sequence[Input]) -> SilentStep:
    """Runs a saga that gets these inputs and then no reply; `owner` gives the clock that drives it at a real time."""
    found, progress, start = SilentStep(), NO_SAGA, clocks.real_ms

    def decided(given_input: Input) -> Progress:
        verdict = decide(ORDER, ID, progress, given_input, owner(clocks.real_ms)())
        assert isinstance(verdict, Decision)
        if any(event["type"].endswith(".requested") and "due_ms" in event for event in verdict.events):
            found.requested_ms.append(clocks.real_ms - start)
        return verdict.progress

    for given_input in inputs:
        progress = decided(given_input)
    del found.requested_ms[:-1]
    silent_state = type(progress.state)
    while isinstance(progress.state, silent_state) and not stuck(progress.state):
        clocks.real_ms += TICK
        due = due_ms(progress.state)
        assert due is not None
        if due <= owner(clocks.real_ms)():
            progress = decided(TimerDue(due))
    if found.requested_ms[-1] == clocks.real_ms - start:  # the undo's first attempt
        found.requested_ms.pop()
    found.given_up_ms = clocks.real_ms - start
    return found


STEPS = pytest.mark.parametrize(
    ("inputs", "attempts"), (((placed(),), STEP.do.retry.attempts), ((placed(), cancel()), UNDO.retry.attempts))
)


@STEPS
@fewer
@given(change=st.integers(0, 7 * MINUTE), skew=SKEWS)
def test_4c_36_clock_skew_shortens_one_attempt_at_most(
    inputs: tuple[Input, ...], attempts: int, change: int, skew: int
) -> None:
    """A step that changes its owner ends early by the clocks' difference, and never by more than an attempt."""
    clocks = MachineClocks()
    former, later = clocks.clock(), clocks.clock(skew)
    silent = run_silent_step(clocks, lambda real_ms: former if real_ms < change else later, inputs)
    assert len(silent.requested_ms) == attempts
    assert silent.given_up_ms >= attempts * TIMEOUT - min(max(skew, 0), TIMEOUT)
    assert silent.given_up_ms <= attempts * (TIMEOUT + TICK) + max(-skew, 0)
    assert sum(ended - start < TIMEOUT for start, ended in silent.attempts) <= (skew > 0)


@STEPS
@fewer
@given(changes=st.lists(st.integers(0, 7 * MINUTE), max_size=6), skew=SKEWS)
def test_4c_36_only_an_attempt_that_changes_its_owner_is_short(
    inputs: tuple[Input, ...], attempts: int, changes: list[int], skew: int
) -> None:
    """Back and forth between pods: an attempt that begins and ends on one of them takes its whole timeout."""
    clocks = MachineClocks()
    pods = clocks.clock(), clocks.clock(skew)
    silent = run_silent_step(clocks, lambda real_ms: pods[sum(change <= real_ms for change in changes) % 2], inputs)
    assert len(silent.requested_ms) == attempts
    for start, ended in silent.attempts:
        handed_over = any(start < change <= ended for change in changes)
        assert handed_over or TIMEOUT <= ended - start <= TIMEOUT + TICK


@STEPS
@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("at", (0, 10 * SECOND, 100 * SECOND))
def test_4c_36_a_jump_gives_no_step_up_early(inputs: tuple[Input, ...], attempts: int, jump: int, at: int) -> None:
    """A jump of an hour takes a tenth of an attempt's time at most, and no attempt."""
    clocks = MachineClocks()
    clock = clocks.clock()

    def owner(real_ms: int) -> SteadyClock:
        clocks.ahead_ms = MachineClocks.ahead_ms + (jump if real_ms >= at else 0)
        return clock

    silent = run_silent_step(clocks, owner, inputs)
    assert len(silent.requested_ms) == attempts
    durations = [ended - start for start, ended in silent.attempts]
    assert min(durations) >= 0.9 * TIMEOUT
    assert max(durations) <= 1.1 * TIMEOUT + TICK


def test_4c_36_the_step_is_given_up_with_its_attempts() -> None:
    """The premise of the tests above: without replies an order is compensated, and an undo gets stuck."""
    clocks = MachineClocks()
    clock = clocks.clock()
    assert run_silent_step(clocks, lambda _: clock, (placed(),)).given_up_ms == STEP.do.retry.attempts * TIMEOUT
    first = decide(ORDER, ID, NO_SAGA, placed(), clock())
    assert isinstance(first, Decision)
    assert isinstance(first.progress.state, Running)
    (active,) = first.progress.state.active_steps
    assert isinstance(active, InFlight)
    assert active.due_ms == active.requested_ms + TIMEOUT
    compensating = decide(ORDER, ID, first.progress, cancel(), clock())
    assert isinstance(compensating, Decision)
    assert isinstance(compensating.progress.state, Compensating)
