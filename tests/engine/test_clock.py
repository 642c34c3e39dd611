"""The engine's clock on a bad day: jumps, steps, suspended machines, and pods that don't agree on the time."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.clock import SteadyClock
from app.saga.decide import decide
from app.saga.messages import Input, TimerDue
from app.saga.state import UNKNOWN, Asked, Compensating, Progress, Running, due_ms, stuck
from app.saga.verdict import Decision
from tests.saga.words import ID, cancel, placed
from topologies.order import ORDER

MS, SECOND, MINUTE, HOUR = 1, 1_000, 60_000, 3_600_000
LEAP = -SECOND  # 23:59:59 comes twice
TIMEOUT = 30 * SECOND
JUMPS = (HOUR, -HOUR, LEAP, 300 * MS, -300 * MS)
fewer = settings(max_examples=settings().max_examples // 2)


@dataclass
class World:
    """A machine's two clocks (ms), moved by hand: its wall clock is ahead of the time that really passes."""

    passed: int = 0
    ahead: int = 1_800_000_000_000

    def clock(self, skew: int = 0) -> SteadyClock:
        """A clock that starts now, on a machine whose wall clock is so far ahead of the others'."""
        return SteadyClock(lambda: self.wall(skew) * 1_000_000, lambda: self.passed * 1_000_000)

    def wall(self, skew: int = 0) -> int:
        """What the wall clock shows."""
        return self.passed + self.ahead + skew

    def length(self, of: int, clock: SteadyClock) -> int:
        """How long it really takes until so much has passed by the clock, when it is read every 10 ms."""
        began, until = self.passed, clock() + of
        while clock() < until:
            self.passed += 10
        return self.passed - began


@pytest.fixture
def world() -> World:
    """Noon of some day."""
    return World()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log warns of."""
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_it_tells_the_time() -> None:
    """With the machine's own clocks it is the wall clock, to the millisecond or so."""
    clock = SteadyClock()
    before = time.time_ns() // 1_000_000
    assert before - 1_000 < clock() <= time.time_ns() // 1_000_000 + 1_000


@pytest.mark.parametrize("jump", JUMPS)
def test_4c_36_a_jump_bends_a_time_out_by_a_tenth_at_most(world: World, jump: int) -> None:
    """Neither is it over at once, nor only an hour later; a step of 300 ms is worth 300 ms at most."""
    clock = world.clock()
    clock()
    world.ahead += jump
    most = min(abs(jump), TIMEOUT // 10) + 20
    assert abs(world.length(TIMEOUT, clock) - TIMEOUT) <= most


@pytest.mark.parametrize("jump", JUMPS)
def test_4c_36_after_a_jump_it_agrees_with_the_wall_clock_again(world: World, jump: int) -> None:
    """It takes eleven times the jump, not less; then the two are the same to the millisecond."""
    clock = world.clock()
    world.ahead += jump
    clock()
    for _ in range(10):
        world.passed += abs(jump)
        assert (world.wall() - clock()) * jump > 0
    world.passed += abs(jump) + 1
    assert clock() == world.wall()
    world.passed += HOUR
    assert clock() == world.wall()


@pytest.mark.parametrize(("jump", "said"), ((HOUR, "+3600.0 s"), (-HOUR, "-3600.0 s")))
def test_4c_36_a_jump_is_told_once(world: World, caplog: pytest.LogCaptureFixture, jump: int, said: str) -> None:
    """One warning with its size, none for the hours in which it is followed."""
    clock = world.clock()
    world.ahead += jump
    for _ in range(1_000):
        world.passed += MINUTE
        clock()
    (warning,) = warnings(caplog)
    assert said in warning


def test_4c_36_what_happens_on_any_day_is_not_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A leap second and NTP's steps are followed without a word, however long nobody looked."""
    clock = world.clock()
    for step in (LEAP, 300 * MS, -300 * MS, 1_000 * MS):
        world.ahead += step
        for passed in (5, HOUR):
            world.passed += passed
            clock()
    assert warnings(caplog) == []


def test_4c_36_a_jump_on_the_way_from_another_adds_up(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Two of an hour are followed like one of two; both are told."""
    clock = world.clock()
    for _ in range(2):
        world.ahead += HOUR
        world.passed += HOUR
        clock()
    world.passed += 19 * HOUR
    assert clock() < world.wall()
    world.passed += HOUR + 1
    assert clock() == world.wall()
    assert len(warnings(caplog)) == 2


def test_4c_36_a_jump_there_and_back_leaves_little(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """What was followed in between is all that is to be taken back."""
    clock = world.clock()
    world.ahead += HOUR
    world.passed += MINUTE
    clock()
    world.ahead -= HOUR
    assert 5 * SECOND < clock() - world.wall() < 6 * SECOND
    world.passed += MINUTE + SECOND
    assert clock() == world.wall()
    assert len(warnings(caplog)) == 2


def test_4c_36_a_jump_while_nobody_looks_is_followed_no_faster(world: World) -> None:
    """After ten idle minutes it may have come a minute nearer, and no more."""
    clock = world.clock()
    before = clock()
    world.ahead += HOUR
    world.passed += 10 * MINUTE
    assert 10 * MINUTE < clock() - before <= 11 * MINUTE


def test_4c_36_time_in_which_the_machine_was_suspended_counts_for_no_time_out(world: World) -> None:
    """The monotonic clock stood still: a time-out goes on where it was, and is late by the suspension at most."""
    clock = world.clock()
    due = clock() + TIMEOUT
    world.passed += 10 * SECOND
    clock()
    world.ahead += HOUR
    awake = world.length(due - clock(), clock)
    assert 18 * SECOND < awake <= 20 * SECOND
    assert world.wall() - due <= HOUR


def test_4c_36_a_restart_takes_the_wall_clock_as_it_is(world: World) -> None:
    """The next life of a process is not bound to what the former one thought."""
    clock = world.clock()
    world.ahead += HOUR
    assert clock() == world.wall() - HOUR
    assert world.clock()() == world.wall()


spans = st.one_of(st.integers(0, 20), st.integers(0, 2 * SECOND), st.integers(0, HOUR))
jumps = st.one_of(st.just(0), st.sampled_from(JUMPS), st.integers(-2 * SECOND, 2 * SECOND), st.integers(-HOUR, HOUR))


@given(st.lists(st.tuples(spans, jumps), max_size=60))
def test_4c_36_whatever_the_wall_clock_does_time_goes_on(days: list[tuple[int, int]]) -> None:
    """It never goes back, is never more than a tenth too fast or too slow, and agrees again when the jumps are over."""
    world = World()
    clock = world.clock()
    told = [(world.passed, clock())]
    for span, jump in days:
        world.ahead += jump
        world.passed += span
        told.append((world.passed, clock()))
    for (began, first), (ended, last) in pairwise(told):
        assert last >= first
        assert 0.9 * (ended - began) - 1 <= last - first <= 1.1 * (ended - began) + 1
    world.passed += 11 * (abs(world.wall() - clock()) + 1)
    assert clock() == world.wall()


# Pods that don't agree. A due time was set by the clock of the pod that asked: the next owner's may be ahead of it, and
# then the attempt under way ends early, by the difference of the two. Each attempt after that is timed by one clock.

TICK = 250
STEP = ORDER.step("reservation")
UNDO = STEP.undo or STEP.do
SKEWS = st.integers(-5 * MINUTE, 5 * MINUTE)


@dataclass
class Silence:
    """A saga whose participant never answers: when it was asked (ms that really passed), and when it was given up."""

    asked: list[int] = field(default_factory=list)
    given_up: int = 0

    @property
    def attempts(self) -> list[tuple[int, int]]:
        """When each attempt began and ended."""
        return list(pairwise([*self.asked, self.given_up]))


def silence(world: World, owner: Callable[[int], SteadyClock], said: Sequence[Input]) -> Silence:
    """What becomes of a saga that was told this: `owner` says whose clock drives it at a time that really passed."""
    found, progress, began = Silence(), UNKNOWN, world.passed

    def told(what: Input) -> Progress:
        verdict = decide(ORDER, ID, progress, what, owner(world.passed)())
        assert isinstance(verdict, Decision)
        if any(event["type"].endswith(".requested") and "due_ms" in event for event in verdict.events):
            found.asked.append(world.passed - began)
        return verdict.progress

    for what in said:
        progress = told(what)
    del found.asked[:-1]
    asked = type(progress.state)
    while isinstance(progress.state, asked) and not stuck(progress.state):
        world.passed += TICK
        due = due_ms(progress.state)
        assert due is not None
        if due <= owner(world.passed)():
            progress = told(TimerDue(due))
    if found.asked[-1] == world.passed - began:  # the undo's first attempt
        found.asked.pop()
    found.given_up = world.passed - began
    return found


STEPS = pytest.mark.parametrize(
    ("said", "attempts"), (((placed(),), STEP.do.retry.attempts), ((placed(), cancel()), UNDO.retry.attempts))
)


@STEPS
@fewer
@given(change=st.integers(0, 7 * MINUTE), skew=SKEWS)
def test_4c_36_a_skewed_pod_takes_one_attempt_short_at_most(
    said: tuple[Input, ...], attempts: int, change: int, skew: int
) -> None:
    """A step that is handed over is given up early by the two clocks' difference, and never by more than an attempt."""
    world = World()
    former, later = world.clock(), world.clock(skew)
    silent = silence(world, lambda passed: former if passed < change else later, said)
    assert len(silent.asked) == attempts
    assert silent.given_up >= attempts * TIMEOUT - min(max(skew, 0), TIMEOUT)
    assert silent.given_up <= attempts * (TIMEOUT + TICK) + max(-skew, 0)
    assert sum(ended - began < TIMEOUT for began, ended in silent.attempts) <= (skew > 0)


@STEPS
@fewer
@given(changes=st.lists(st.integers(0, 7 * MINUTE), max_size=6), skew=SKEWS)
def test_4c_36_only_an_attempt_that_is_handed_over_is_short(
    said: tuple[Input, ...], attempts: int, changes: list[int], skew: int
) -> None:
    """Back and forth between pods: an attempt that begins and ends with one of them takes its whole time-out."""
    world = World()
    pods = world.clock(), world.clock(skew)
    silent = silence(world, lambda passed: pods[sum(change <= passed for change in changes) % 2], said)
    assert len(silent.asked) == attempts
    for began, ended in silent.attempts:
        handed_over = any(began < change <= ended for change in changes)
        assert handed_over or TIMEOUT <= ended - began <= TIMEOUT + TICK


@STEPS
@pytest.mark.parametrize("jump", JUMPS)
@pytest.mark.parametrize("at", (0, 10 * SECOND, 100 * SECOND))
def test_4c_36_a_jump_gives_no_step_up_early(said: tuple[Input, ...], attempts: int, jump: int, at: int) -> None:
    """An hour's jump costs a tenth of the time that its attempts may take, and no attempt."""
    world = World()
    clock = world.clock()

    def owner(passed: int) -> SteadyClock:
        world.ahead = World.ahead + (jump if passed >= at else 0)
        return clock

    silent = silence(world, owner, said)
    assert len(silent.asked) == attempts
    lengths = [ended - began for began, ended in silent.attempts]
    assert min(lengths) >= 0.9 * TIMEOUT
    assert max(lengths) <= 1.1 * TIMEOUT + TICK


def test_4c_36_the_step_is_given_up_with_its_attempts() -> None:
    """What the tests above watch: without an answer the order goes back; a silent undo gets stuck."""
    world = World()
    clock = world.clock()
    assert silence(world, lambda _: clock, (placed(),)).given_up == STEP.do.retry.attempts * TIMEOUT
    first = decide(ORDER, ID, UNKNOWN, placed(), clock())
    assert isinstance(first, Decision)
    assert isinstance(first.progress.state, Running)
    (leg,) = first.progress.state.legs
    assert isinstance(leg, Asked)
    assert leg.due_ms == leg.asked_ms + TIMEOUT
    back = decide(ORDER, ID, first.progress, cancel(), clock())
    assert isinstance(back, Decision)
    assert isinstance(back.progress.state, Compensating)
