"""A good run breaks no invariant; every recording that was tampered with breaks the expected one."""

import pytest

from app.audit.check import check
from app.audit.invariants import INVARIANTS
from app.audit.recording.recording import Recording
from tests.audit.case import state_of
from tests.audit.mutants import MUTANTS
from tests.audit.runs import good_run
from tests.audit.sagas import SPEC


@pytest.fixture(scope="module")
def good() -> Recording:
    """A run in which every order keeps the contract."""
    return good_run()


def broken(recording: Recording) -> set[str]:
    """The invariants that a recording breaks."""
    return set(check(recording, SPEC, fold=state_of).by_invariant)


def test_a_good_run_breaks_nothing(good: Recording) -> None:
    """Every course that an order can take, and every kind of dead letter, is allowed."""
    assert check(good, SPEC, fold=state_of).violations == ()


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(good: Recording, name: str) -> None:
    """A good run with one change breaks the invariant that forbids it."""
    invariant, mutate = MUTANTS[name]
    assert invariant in broken(mutate(good))


def test_all_mutants_are_caught(good: Recording, capsys: pytest.CaptureFixture[str]) -> None:
    """Prints the published figure: the number of mutants, and how many are caught."""
    caught = [name for name, (invariant, mutate) in MUTANTS.items() if invariant in broken(mutate(good))]
    with capsys.disabled():
        print(f" mutants caught: {len(caught)} of {len(MUTANTS)}", end="")  # noqa: T201 - the figure to be published
    assert len(caught) == len(MUTANTS) >= 100


def test_every_invariant_has_a_mutant() -> None:
    """Each invariant of the list is broken by a mutant; INV-17 is checked while a run goes on."""
    assert {invariant for invariant, _ in MUTANTS.values()} == INVARIANTS.keys() - {"INV-17"}
