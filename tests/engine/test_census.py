"""How many sagas of a partition are where."""

from itertools import pairwise

from app.engine.census import NOBODY, Census, counts_of
from app.saga.state import (
    Asked,
    Compensating,
    Completed,
    Facts,
    Leg,
    NotStarted,
    Pausing,
    Progress,
    RolledBack,
    Running,
    Stuck,
    Waiting,
    Why,
)

WHY = Why("no funds", "payment", requested=False)
ASKED, PAUSING = Asked("a", 1, 1, 0, 9), Pausing("b", 1, 1, 9)
WAITING, STUCK = Waiting("c", 0, 1), Stuck("d", 5, 1, 0, "down")


def facts(version: int = 1) -> Facts:
    """Of a saga of that version."""
    return Facts("order", version, "d", 0, {}, {})


def running(*legs: Leg, version: int = 1) -> Progress:
    """A saga with these steps under way."""
    return Progress(1, Running(facts(version), None, legs))


def test_nobody_is_there_at_first() -> None:
    """All counts are zero."""
    assert Census().document() == {"asked": {}, "waiting": {}, "live": {}, "stuck": 0, "ended": 0}


def test_each_is_counted_where_it_is() -> None:
    """A pause holds room like a command does; a saga with several stuck steps is one that is stuck."""
    census = Census()
    census.change(NOBODY, counts_of(running(ASKED, PAUSING).state))
    census.change(NOBODY, counts_of(running(WAITING, STUCK, STUCK, version=2).state))
    census.change(NOBODY, counts_of(Progress(3, Compensating(facts(), WHY, (ASKED,), ("b",))).state))
    census.change(NOBODY, counts_of(Progress(3, Completed(facts(), 5)).state))
    census.change(NOBODY, counts_of(Progress(3, RolledBack(facts(), WHY, 5)).state))
    census.change(NOBODY, counts_of(Progress(0, NotStarted()).state))
    assert census.document() == {
        "asked": {"a": 2, "b": 1},
        "waiting": {"c": 1},
        "live": {"order/1": 2, "order/2": 1},
        "stuck": 1,
        "ended": 2,
    }


def test_who_changes_is_counted_once() -> None:
    """In its new state only; who is forgotten, nowhere."""
    census = Census()
    one, other, done = running(ASKED), running(WAITING), Progress(3, Completed(facts(), 5))
    for old, new in pairwise((None, one.state, other.state, done.state, None)):
        census.change(counts_of(old), counts_of(new))
    assert census.document() == Census().document()


def test_counts_survive_being_written_down() -> None:
    """Loaded again they go on from where they were."""
    census, again = Census(), Census()
    census.change(NOBODY, counts_of(running(ASKED, WAITING, STUCK, version=7).state))
    again.load(census.document())
    again.change(counts_of(running(ASKED, WAITING, STUCK, version=7).state), NOBODY)
    assert again.document() == Census().document()


def test_what_is_remembered_of_moves_is_bounded() -> None:
    """A saga with many steps at once can go almost any way, and another one each time: the counts stay right."""
    census, ways = Census(), [running(*_some(number)).state for number in range(1, 12_001)]
    for state in ways:
        census.change(NOBODY, counts_of(state))
    assert len(census._moves) <= 10_000
    assert census.live["order/1"] == len(ways)
    assert census.asked["s0"] == len(ways) // 2


def _some(number: int) -> list[Leg]:
    """The steps whose bits are set."""
    return [Asked(f"s{bit}", 1, 1, 0, 9) for bit in range(14) if number >> bit & 1]
