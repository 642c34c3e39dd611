"""Stuck steps from state documents, and how they are shown."""

import json
import tracemalloc

import pytest
from rich.console import Console

from app.operators import show
from app.operators.stuck import StuckSagas, StuckStep
from app.saga.state import Why
from tests.operators.documents import IN_FLIGHT, WHY, compensating, ended, running, stuck

KeyAndValue = tuple[bytes, bytes | None]


def read(*records: KeyAndValue) -> StuckSagas:
    """The stuck sagas after these records, in this order."""
    sagas = StuckSagas()
    for key, value in records:
        sagas.take(key, value)
    return sagas


def test_only_stuck_steps_are_listed() -> None:
    """Stuck dos and stuck undos, with attempts, time, reason and the reason of the rollback."""
    sagas = read(
        (b"o-1", compensating(stuck())),
        (b"o-2", compensating(IN_FLIGHT)),
        (b"o-3", running(stuck("shipping", 5, 2_000, "no carrier"))),
        (b"o-4", ended()),
    )
    assert sagas.steps() == [
        StuckStep("o-1", "reservation", "undo", 12, 1_000, "timed out", WHY),
        StuckStep("o-3", "shipping", "do", 5, 2_000, "no carrier", None),
    ]
    assert (sagas.documents, sagas.unreadable) == (4, 0)


@pytest.mark.parametrize("later", (None, ended(), compensating(IN_FLIGHT), running(IN_FLIGHT)))
def test_the_last_document_counts(later: bytes | None) -> None:
    """A saga that is no longer stuck, has ended or has expired is not listed."""
    assert read((b"o-1", compensating(stuck())), (b"o-2", ended()), (b"o-1", later)).steps() == []
    assert read((b"o-1", later), (b"o-1", compensating(stuck()))).steps() != []


def test_the_oldest_comes_first() -> None:
    """Steps of one saga are sorted one by one; steps stuck since the same moment are sorted by order and name."""
    sagas = read(
        (b"o-3", compensating(stuck(since_ms=3_000))),
        (b"o-2", compensating(stuck(since_ms=2_000))),
        (b"o-1", running(stuck("b", since_ms=2_000), IN_FLIGHT, stuck("a", since_ms=4_000))),
    )
    assert [(step.order_id, step.step) for step in sagas.steps()] == [
        ("o-1", "b"),
        ("o-2", "reservation"),
        ("o-3", "reservation"),
        ("o-1", "a"),
    ]


def test_a_document_of_another_version_is_counted() -> None:
    """It may be stuck; a later document of the saga that can be read replaces it."""
    old = b'{"state":"stuck","seq":3}'
    assert read((b"o-1", old), (b"o-1", old), (b"o-2", b'"stuck"')).unreadable == 2
    assert read((b"o-1", old), (b"o-1", ended())).unreadable == 0
    assert read((b"o-1", old), (b"o-1", None)).unreadable == 0


def test_sagas_that_are_not_stuck_take_no_memory() -> None:
    """However many there are, nothing of them is kept in memory."""
    sagas, waiting, done = StuckSagas(), compensating(stuck()), ended()

    def live(numbers: range) -> None:
        for number in numbers:
            key = b"o-%d" % number
            sagas.take(key, waiting)
            sagas.take(key, done)

    tracemalloc.start()
    try:
        live(range(2_000))
        before, _ = tracemalloc.get_traced_memory()
        live(range(2_000, 22_000))
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sagas.documents == 44_000
    assert after - before < 20_000  # a byte for each


def test_a_line_for_programs_is_json() -> None:
    """Plain ASCII, with nothing left out."""
    step = StuckStep("o-1", "payment", "undo", 12, 1_234, "b\u00f6se \x9b", Why("fraud", "payment", requested=True))
    line = show.json_line(step)
    assert line.isascii()
    assert json.loads(line) == {
        "order_id": "o-1",
        "step": "payment",
        "direction": "undo",
        "attempts": 12,
        "since": "1970-01-01T00:00:01.234Z",
        "reason": "b\u00f6se \x9b",
        "why": {"reason": "fraud", "step": "payment", "requested": True},
    }
    assert json.loads(show.json_line(StuckStep("o-1", "a", "do", 1, 0, "x", None)))["why"] is None


def test_untrusted_text_is_harmless_on_a_terminal() -> None:
    """Line breaks, tabs, escape sequences and direction overrides are escaped; other scripts stay as they are."""
    nasty = "a\tb\nc\x1b[2J\x9b\u202e\ud800 d\u00a0\u00e9\u4ed8 [red]"
    step = StuckStep("o-1", "payment", "do", 1, 0, nasty, None)
    cell = show.cells(step)[5]
    assert cell == "a\\tb\\nc\\x1b[2J\\x9b\\u202e\\ud800 d\u00a0\u00e9\u4ed8 [red]"


def test_a_table_has_every_column() -> None:
    """With the texts as they are: rich markup in them has no effect."""
    console = Console(width=200, force_terminal=False)
    with console.capture() as shown:
        show.table([StuckStep("o-1", "payment", "undo", 12, 1_234, "[red]down[/red]", WHY)], console)
    for text in (*show.COLUMNS, "o-1", "undo", "12", "1970-01-01T00:00:01.234Z", "[red]down[/red]", "no funds"):
        assert text in shown.get()
