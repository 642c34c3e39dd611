"""The diagrams of the states match the code, and the README shows them."""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from app.saga.definition import Saga
from app.saga.messages import (
    INPUTS,
    Cancel,
    CapacityAvailable,
    Compensate,
    Failed,
    Place,
    Refused,
    Retry,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import ACTIVE_STEPS, State, stuck
from app.saga.state_diagram import (
    COLUMNS,
    EXPIRED,
    Move,
    StepMove,
    diagram,
    document,
    moves,
    step_moves,
    steps_diagram,
    trials,
)
from app.saga.verdict import Expired
from tests.saga.random_sagas import Moment, StepPlan, random_runs, saga_of
from tests.saga.situations import ONE_WAY
from topologies.order import ORDER

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.compile(r"<!-- states:begin -->\n(.*?)<!-- states:end -->", re.DOTALL)
TRIED = tuple(trials(ORDER))
THREE = saga_of([(2, 2)] * 3, deadline_ms=90_000)
FORKED = saga_of([StepPlan(), StepPlan(after=()), StepPlan(after=(0,))], deadline_ms=90_000)
WITH_PIVOT = saga_of([(2, 2)] * 3, pivot=1, deadline_ms=90_000)


def shown(readme: str) -> str | None:
    """The text between a README's markers; None without markers."""
    found = SHOWN.search(readme)
    return found.group(1).strip("\n") if found else None


def test_the_readme_shows_the_states_as_they_are() -> None:
    """The text between its markers is the `document` of the order saga."""
    states = shown(README.read_text("utf-8")) if README.exists() else None
    if states is None:
        pytest.skip("the README has no markers for the states")
    assert states == document(ORDER).strip("\n")


def test_a_stale_copy_is_found() -> None:
    """A copy with one arrow less differs."""
    readme = f"# Title\n<!-- states:begin -->\n{document(ORDER)}\n<!-- states:end -->\nmore\n"
    assert shown(readme) == document(ORDER).strip("\n")
    arrow = "    Stuck --> RolledBack: undone, skip\n"
    assert arrow in readme
    assert shown(readme.replace(arrow, "")) != document(ORDER).strip("\n")
    assert shown("# Title\n") is None


def test_the_table_has_every_pair() -> None:
    """Each column has each kind of input."""
    assert {(move.column, move.given) for move in moves(TRIED)} == set(product(COLUMNS, INPUTS))


def test_the_table_has_the_expected_moves() -> None:
    """It has some typical moves, and no move from a rollback back to going forward."""
    found = set(moves(TRIED))
    assert Move("NotStarted", Place, "Running") in found
    assert Move("Running", Succeeded, "Completed") in found
    assert Move("Running", Failed, "Running") in found
    assert Move("Running", TimerDue, "RolledBack") in found
    assert Move("Running", CapacityAvailable, "Running") in found
    assert Move("Compensating", Failed, "Stuck") in found
    for column in ("Completed", "RolledBack"):
        results = {move.result for move in found if move.column == column}
        assert results == {"nothing", "dead letter", "ignored", "refused", EXPIRED}
    assert not any(
        move.column in ("Compensating", "Stuck") and move.result in ("Running", "Completed") for move in found
    )


def test_an_expired_saga_leaves_the_diagram() -> None:
    """It ends where it began: outside."""
    lines = diagram(moves(TRIED)).splitlines()
    assert [line.strip() for line in lines if line.endswith(": place") or "--> [*]" in line] == [
        "[*] --> Running: place",
        "Completed --> [*]: timer",
        "RolledBack --> [*]: timer",
    ]


def test_an_active_step_has_a_diagram_too() -> None:
    """It is queued, in flight, backing off or stuck; each status is entered and left."""
    found = set(step_moves(TRIED))
    assert (
        {move.start for move in found}
        == {move.end for move in found}
        == {"[*]", *(active.__name__ for active in ACTIVE_STEPS)}
    )
    assert StepMove("Queued", "InFlight", CapacityAvailable) in found
    assert StepMove("InFlight", "InFlight", TimerDue) in found
    assert StepMove("InFlight", "Queued", TimerDue) in found
    assert StepMove("InFlight", "Queued", Failed) in found
    assert StepMove("InFlight", "BackingOff", Failed) in found
    assert StepMove("BackingOff", "InFlight", TimerDue) in found
    assert {move.given for move in found if move.start == "Stuck"} == {Undone, Retry, Skip}
    assert {move.start for move in found if move.end == "Stuck"} == {"Queued", "InFlight", "BackingOff"}
    assert {move.given for move in found if move.start == "[*]"} >= {Place, Succeeded, Refused, Undone, Cancel, Skip}


def test_a_saga_with_a_pivot_has_more_moves() -> None:
    """It can get stuck while it goes forward, and an operator or a late reply can still complete it."""
    found = set(moves(trials(ONE_WAY)))
    for move in (
        Move("Running", Failed, "Stuck"),
        Move("Running", Cancel, "refused"),
        Move("Stuck", Succeeded, "Completed"),
        Move("Stuck", Skip, "Completed"),
        Move("Stuck", Retry, "Running"),
        Move("Stuck", Refused, "Compensating"),
        Move("Stuck", Compensate, "Compensating"),
    ):
        assert move in found
        assert move not in moves(TRIED)
    assert "Stuck --> [*]: succeeded, refused, undone, skip, compensate" in steps_diagram(step_moves(trials(ONE_WAY)))


@pytest.mark.parametrize("saga", (THREE, FORKED, WITH_PIVOT), ids=("three", "forked", "with a pivot"))
def test_the_table_leaves_no_move_out(saga: Saga) -> None:
    """It has every move of random runs."""
    drawn = {(move.column, move.given, move.result) for move in moves(trials(saga))}
    seen = set(_moves_of(run for _, run in random_runs(300, 2, lambda _: saga)))
    assert len(seen) > 15
    assert seen <= drawn


def _moves_of(runs: Iterable[list[Moment]]) -> Iterable[tuple[str, type, str]]:
    for moment in (moment for run in runs for moment in run):
        before, after = moment.before.state, moment.after.state
        if after != before:
            end = EXPIRED if isinstance(moment.verdict, Expired) else _name(after)
            yield _name(before), type(moment.given), end


def _name(state: State) -> str:
    return "Stuck" if stuck(state) else type(state).__name__


def test_one_of_two_stuck_steps_can_be_retried_or_skipped() -> None:
    """Then the saga is still stuck. With several stuck steps, a skip without a name is refused."""
    pair = set(moves(trials(saga_of([(1, 1), StepPlan(1, 1, ())]))))
    alone = set(moves(TRIED))
    for move in (Move("Stuck", Retry, "Stuck"), Move("Stuck", Skip, "Stuck"), Move("Stuck", Skip, "refused")):
        assert move in pair
        assert move not in alone


def test_a_saga_of_one_step_has_no_next_one() -> None:
    """A success always completes it. With more steps than the order's there are no other moves."""
    one = set(moves(trials(saga_of([(2, 2)], deadline_ms=90_000))))
    assert {move.result for move in one if (move.column, move.given) == ("Running", Succeeded)} == {"Completed"}
    assert document(THREE) == document(ORDER)


def test_a_saga_without_a_deadline_has_no_deadline_timer() -> None:
    """Its only timers are those of its attempts: a saga with its first step queued is not rolled back by one."""
    without_deadline = set(moves(trials(replace(ORDER, deadline_ms=None))))
    assert Move("Running", TimerDue, "RolledBack") not in without_deadline
    assert set(moves(TRIED)) - without_deadline == {Move("Running", TimerDue, "RolledBack")}


def test_the_same_saga_gives_the_same_document() -> None:
    """It can be compared byte by byte, and fits on a page or two."""
    assert document(ORDER) == document(ORDER)
    assert len(document(ORDER).splitlines()) < 75
    assert all(len(line) <= 120 for line in document(ORDER).splitlines() if not line.startswith("|"))
