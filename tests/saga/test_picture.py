"""The picture of the states is that of the code, and the README shows this one."""

import re
from itertools import product
from pathlib import Path

import pytest

from app.saga.messages import INPUTS, Failed, Place, Succeeded, TimerDue
from app.saga.picture import Move, document, moves
from app.saga.state import STATES, Completed, NotStarted, Pausing, Running, Stuck
from tests.saga.lives import saga_of, some_lives
from topologies.order import ORDER

README = Path(__file__).parents[2] / "README.md"
SHOWN = re.compile(r"<!-- states:begin -->\n(.*?)<!-- states:end -->", re.DOTALL)


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
    assert shown(readme.replace("    Stuck --> RolledBack: undone, skip\n", "")) != document(ORDER).strip("\n")
    assert shown("# Title\n") is None


def test_the_picture_shows_every_pair() -> None:
    """Each kind of state is told each kind of input."""
    assert {(move.state, move.given) for move in moves(ORDER)} == set(product(STATES, INPUTS))


def test_the_picture_holds_what_is_known() -> None:
    """A few moves that everybody expects, and one that nobody does."""
    found = set(moves(ORDER))
    assert Move(NotStarted, Place, "Running") in found
    assert Move(Running, Succeeded, "Completed") in found
    assert Move(Running, Failed, "Pausing") in found
    assert Move(Pausing, TimerDue, "Running") in found
    assert {move.end for move in found if move.state is Completed} == {"nothing", "dead letter", "ignored", "refused"}
    assert not any(move.state is Stuck and move.end == "Completed" for move in found)


def test_the_picture_leaves_no_move_out() -> None:
    """Whatever a life of a saga does is in the picture of it."""
    drawn = set(moves(saga_of([(2, 2)] * 3)))
    lived = {
        Move(type(moment.before.state), type(moment.given), type(moment.after.state).__name__)
        for life in some_lives(200, seed=2)
        for moment in life
        if moment.after.state != moment.before.state
    }
    assert lived <= drawn


def test_a_saga_of_one_step_has_no_next_one() -> None:
    """Then a success completes and an undo ends it; with more steps there are other ways, and no other states."""
    one, three = document(saga_of([(2, 2)])), document(saga_of([(2, 2)] * 3))
    assert "Running --> Running: time\n" in one
    assert "Running --> Running: succeeded, time\n" in three
    assert three == document(ORDER)


def test_the_same_saga_gives_the_same_picture() -> None:
    """It can be compared to the letter."""
    assert document(ORDER) == document(ORDER)
    assert len(document(ORDER).splitlines()) < 60
