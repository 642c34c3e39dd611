"""Totals and their table: what a person reads at the end of a run."""

import io
from dataclasses import replace

from rich.console import Console

from app.audit.invariants import check
from app.audit.table import rows, show
from tests.audit.mutants import MUTANTS
from tests.audit.runs import WAYS, good_run
from tests.audit.world import Case, World

GOOD = good_run()


def printed(recording_name: str | None = None, *, terminal: bool = False) -> str:
    """What is shown of the good run, or of a mutant."""
    recording = MUTANTS[recording_name][1](GOOD) if recording_name else GOOD
    file = io.StringIO()
    show(check(recording), Console(file=file, force_terminal=terminal, width=120))
    return file.getvalue()


def test_each_order_is_counted_once() -> None:
    """Orders, their ends and their repetitions add up."""
    totals = check(GOOD).totals
    assert totals.orders_distinct == len(WAYS) + 2  # with two that are dead letters
    assert totals.started == len(WAYS)
    assert totals.completed + totals.rejected + totals.cancelled + totals.stuck + totals.running == totals.started
    assert (totals.completed, totals.rejected, totals.cancelled, totals.stuck, totals.running) == (4, 6, 2, 1, 0)
    assert (totals.orders_placed, totals.orders_repeated) == (18, 2)
    assert totals.dead_letters == {"conflict": 1, "malformed": 2, "too_large": 1, "unknown_order": 1, "wrong_key": 1}
    assert (totals.commands, totals.commands_again, totals.replies_ignored, totals.replies_repeated) == (36, 3, 6, 2)


def test_money_and_goods_are_summed_by_effect() -> None:
    """A reply that came twice moves its money once; a refund without a charge moves none."""
    totals = check(GOOD).totals
    assert totals.money.out == {"EUR": 6033}
    assert totals.money.back == {"EUR": 1004}
    assert totals.money.by_hand == {"EUR": 1007}
    assert totals.money.kept == totals.money.completed == {"EUR": 4022}
    assert totals.money.balanced
    assert totals.items.balanced
    assert totals.items.open == {"sku-until_stuck-6": 1}


def test_currencies_are_not_mixed() -> None:
    """Each currency has its own account."""
    world = World()
    for way in WAYS[:2]:
        way(Case(world, way.__name__))
    dollars = tuple(replace(r, value=(r.value or b"").replace(b'"EUR"', b'"USD"')) for r in world.recording().records)
    good = replace(GOOD, records=(*GOOD.records, *dollars))
    assert set(check(good, settled=False).totals.money.out) == {"EUR", "USD"}


def test_a_pipe_gets_plain_lines() -> None:
    """No colour, no frame, one fact per line."""
    text = printed()
    assert "\x1b" not in text
    assert "│" not in text
    assert "orders placed: 18\n" in text
    assert text.splitlines()[-1] == "All 19 invariants hold."


def test_a_terminal_gets_a_table() -> None:
    """The same facts, in a frame."""
    text = printed(terminal=True)
    assert "│" in text
    for name, value in rows(check(GOOD).totals):
        assert name in text
        assert value in text


def test_a_broken_invariant_is_told_with_its_saga() -> None:
    """The report names the invariant, what it says, the saga, and what is wrong."""
    text = printed("a command was sent twice")
    assert "INV-3 is broken 1 times: No command id was sent twice, and no timer took effect twice.\n" in text
    assert "  happy-0: command happy-0:payment:do:1 was sent twice, with the same content\n" in text
    assert text.splitlines()[-1] == "1 violations of 19 invariants."


def test_many_violations_are_cut_short() -> None:
    """Ten of a kind are shown, the others counted."""
    world = World()
    for number in range(12):
        WAYS[0](Case(world, f"o-{number}"))
    silent = tuple(record for record in world.recording().records if record.topic != "order.outcomes")
    file = io.StringIO()
    show(check(replace(world.recording(), records=silent)), Console(file=file))
    assert "INV-24 is broken 12 times" in file.getvalue()
    assert "  and 2 more\n" in file.getvalue()
