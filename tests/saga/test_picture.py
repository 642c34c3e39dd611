"""The picture of the states is that of the code, and the README shows this one."""

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
    Compensate,
    Failed,
    Place,
    Refused,
    Retry,
    RoomFor,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.picture import COLUMNS, FORGOTTEN, Hop, Move, diagram, document, hops, moves, steps_diagram, trials
from app.saga.state import LEGS, State, stuck
from app.saga.verdict import Forgotten
from tests.saga.lives import Moment, Part, any_lives, saga_of
from tests.saga.places import ONE_WAY
from topologies.order import ORDER

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.compile(r"<!-- states:begin -->\n(.*?)<!-- states:end -->", re.DOTALL)
TRIED = tuple(trials(ORDER))
THREE = saga_of([(2, 2)] * 3, deadline_ms=90_000)
FORKED = saga_of([Part(), Part(after=()), Part(after=(0,))], deadline_ms=90_000)
WITH_PIVOT = saga_of([(2, 2)] * 3, pivot=1, deadline_ms=90_000)


def shown(readme: str) -> str | None:
    """What a README has between its markers; None without markers."""
    found = SHOWN.search(readme)
    return found.group(1).strip("\n") if found else None


def test_the_readme_shows_the_states_as_they_are() -> None:
    """Between its markers stands what `document` gives for the order saga, to the letter."""
    states = shown(README.read_text("utf-8")) if README.exists() else None
    if states is None:
        pytest.skip("the README has no markers for the states")
    assert states == document(ORDER).strip("\n")


def test_a_stale_copy_is_found() -> None:
    """One arrow less than the code has, and the copy is another text."""
    readme = f"# Title\n<!-- states:begin -->\n{document(ORDER)}\n<!-- states:end -->\nmore\n"
    assert shown(readme) == document(ORDER).strip("\n")
    arrow = "    Stuck --> RolledBack: undone, skip\n"
    assert arrow in readme
    assert shown(readme.replace(arrow, "")) != document(ORDER).strip("\n")
    assert shown("# Title\n") is None


def test_the_picture_shows_every_pair() -> None:
    """In each place a saga is told each kind of input."""
    assert {(move.place, move.given) for move in moves(TRIED)} == set(product(COLUMNS, INPUTS))


def test_the_picture_holds_what_is_known() -> None:
    """A few moves that everybody expects, and some that nobody does."""
    found = set(moves(TRIED))
    assert Move("NotStarted", Place, "Running") in found
    assert Move("Running", Succeeded, "Completed") in found
    assert Move("Running", Failed, "Running") in found
    assert Move("Running", TimerDue, "RolledBack") in found
    assert Move("Running", RoomFor, "Running") in found
    assert Move("Compensating", Failed, "Stuck") in found
    for place in ("Completed", "RolledBack"):
        told = {move.end for move in found if move.place == place}
        assert told == {"nothing", "dead letter", "ignored", "refused", FORGOTTEN}
    assert not any(move.place in ("Compensating", "Stuck") and move.end in ("Running", "Completed") for move in found)


def test_a_forgotten_saga_leaves_the_diagram() -> None:
    """It ends where it began: outside."""
    lines = diagram(moves(TRIED)).splitlines()
    assert [line.strip() for line in lines if line.endswith(": place") or "--> [*]" in line] == [
        "[*] --> Running: place",
        "Completed --> [*]: time",
        "RolledBack --> [*]: time",
    ]


def test_a_step_under_way_is_drawn_too() -> None:
    """It waits, is asked for, pauses and is stuck; each is come to and left."""
    found = set(hops(TRIED))
    assert {hop.start for hop in found} == {hop.end for hop in found} == {"[*]", *(leg.__name__ for leg in LEGS)}
    assert Hop("Waiting", "Asked", RoomFor) in found
    assert Hop("Asked", "Asked", TimerDue) in found
    assert Hop("Asked", "Waiting", TimerDue) in found
    assert Hop("Asked", "Waiting", Failed) in found
    assert Hop("Asked", "Pausing", Failed) in found
    assert Hop("Pausing", "Asked", TimerDue) in found
    assert {hop.given for hop in found if hop.start == "Stuck"} == {Undone, Retry, Skip}
    assert {hop.start for hop in found if hop.end == "Stuck"} == {"Waiting", "Asked", "Pausing"}
    assert {hop.given for hop in found if hop.start == "[*]"} >= {Place, Succeeded, Refused, Undone, Cancel, Skip}


def test_a_saga_with_a_point_of_no_return_has_more_ways() -> None:
    """It can be stuck forward, and a person or a late answer can still complete it."""
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
    assert "Stuck --> [*]: succeeded, refused, undone, skip, compensate" in steps_diagram(hops(trials(ONE_WAY)))


@pytest.mark.parametrize("saga", (THREE, FORKED, WITH_PIVOT), ids=("three", "forked", "with a pivot"))
def test_the_picture_leaves_no_move_out(saga: Saga) -> None:
    """Whatever a life of a saga does is in the picture of it."""
    drawn = {(move.place, move.given, move.end) for move in moves(trials(saga))}
    lived = set(_lived(life for _, life in any_lives(300, 2, lambda _: saga)))
    assert len(lived) > 15
    assert lived <= drawn


def _lived(lives: Iterable[list[Moment]]) -> Iterable[tuple[str, type, str]]:
    for moment in (moment for life in lives for moment in life):
        before, after = moment.before.state, moment.after.state
        if after != before:
            end = FORGOTTEN if isinstance(moment.verdict, Forgotten) else _name(after)
            yield _name(before), type(moment.given), end


def _name(state: State) -> str:
    return "Stuck" if stuck(state) else type(state).__name__


def test_one_of_two_stuck_steps_can_be_seen_to() -> None:
    """Then the saga is still stuck; and where several are, nobody can skip without saying which."""
    pair = set(moves(trials(saga_of([(1, 1), Part(1, 1, ())]))))
    alone = set(moves(TRIED))
    for move in (Move("Stuck", Retry, "Stuck"), Move("Stuck", Skip, "Stuck"), Move("Stuck", Skip, "refused")):
        assert move in pair
        assert move not in alone


def test_a_saga_of_one_step_has_no_next_one() -> None:
    """Then a success always completes; with more steps there are other ways, and no other places."""
    one = set(moves(trials(saga_of([(2, 2)], deadline_ms=90_000))))
    assert {move.end for move in one if (move.place, move.given) == ("Running", Succeeded)} == {"Completed"}
    assert document(THREE) == document(ORDER)


def test_a_saga_without_a_deadline_runs_out_of_nothing() -> None:
    """Its time is only that of its attempts: an order that nobody was asked for is not rolled back by it."""
    endless = set(moves(trials(replace(ORDER, deadline_ms=None))))
    assert Move("Running", TimerDue, "RolledBack") not in endless
    assert set(moves(TRIED)) - endless == {Move("Running", TimerDue, "RolledBack")}


def test_the_same_saga_gives_the_same_picture() -> None:
    """It can be compared to the letter, and fits on a page or two."""
    assert document(ORDER) == document(ORDER)
    assert len(document(ORDER).splitlines()) < 75
    assert all(len(line) <= 120 for line in document(ORDER).splitlines() if not line.startswith("|"))
