"""The checker finds nothing in a good run, and every way in which it was spoiled."""

import pytest

from app.audit.invariants import INVARIANTS, check
from app.audit.recording import Recording
from tests.audit.mutants import MUTANTS
from tests.audit.runs import good_run
from tests.audit.sagas import TERMS
from tests.audit.scribe import state_of


@pytest.fixture(scope="module")
def good() -> Recording:
    """A run in which every order keeps the contract."""
    return good_run()


def broken(recording: Recording) -> set[str]:
    """The invariants that a recording breaks."""
    return set(check(recording, TERMS, fold=state_of).by_invariant)


def test_a_good_run_breaks_nothing(good: Recording) -> None:
    """Every way that an order can go, and every kind of dead letter, is allowed."""
    assert check(good, TERMS, fold=state_of).violations == ()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(good: Recording, name: str) -> None:
    """A run spoiled in one way breaks the invariant which says that this must not be."""
    invariant, mutate = MUTANTS[name]
    assert invariant in broken(mutate(good))


def test_all_mutants_are_caught(good: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """The figure: how many wrong recordings there are, and how many of them were found out."""
    caught = [name for name, (invariant, mutate) in MUTANTS.items() if invariant in broken(mutate(good))]
    with capsys.disabled():
        print(f" mutants caught: {len(caught)} of {len(MUTANTS)}", end="")  # noqa: T201 - the figure to be published
    assert len(caught) == len(MUTANTS) >= 100


def test_every_invariant_has_a_mutant() -> None:
    """No invariant is in the table that nothing was seen to break; INV-17 is watched during a run."""
    assert {invariant for invariant, _ in MUTANTS.values()} == INVARIANTS.keys() - {"INV-17"}
