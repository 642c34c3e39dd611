"""Totals and their table: what a person reads at the end of a run."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from app.audit.invariants import Report, check
from app.audit.ledger import Account
from app.audit.statements import Violation
from app.audit.table import rows, show
from tests.audit.mutants import MUTANTS
from tests.audit.runs import BY_VERSION, WAYS, good_run
from tests.audit.sagas import TERMS
from tests.audit.scribe import Case
from tests.audit.world import World

GOOD = good_run()


def printed(recording_name: str | None = None, *, terminal: bool = False) -> str:
    """What is shown of the good run, or of a mutant."""
    recording = MUTANTS[recording_name][1](GOOD) if recording_name else GOOD
    file = io.StringIO()
    show(check(recording, TERMS), Console(file=file, force_terminal=terminal, width=200))
    return file.getvalue()


def test_each_order_is_counted_once() -> None:
    """Orders, their ends and their repetitions add up."""
    totals = check(GOOD, TERMS).totals
    ways = sum(map(len, BY_VERSION.values()))
    assert totals.orders_distinct == ways + 2  # with two that are dead letters
    assert totals.started == ways + 1  # one was placed again when it was forgotten
    assert totals.completed + totals.rejected + totals.cancelled + totals.stuck + totals.running == totals.started
    assert (totals.completed, totals.rejected, totals.cancelled, totals.stuck, totals.running) == (11, 12, 7, 2, 0)
    assert (totals.orders_placed, totals.orders_repeated) == (38, 3)
    assert totals.dead_letters == {"conflict": 1, "malformed": 2, "too_large": 1, "unknown_order": 3, "wrong_key": 1}
    assert (totals.commands, totals.commands_again, totals.replies_ignored, totals.replies_repeated) == (129, 19, 7, 4)


def moved(report: Report) -> dict[str, Account]:
    """What each participant moved, by its name."""
    return {step.name: account for step, account in report.totals.accounts.items()}


def test_money_and_goods_are_summed_by_effect() -> None:
    """A reply that came twice moves its money once; a refund without a charge moves none."""
    accounts = moved(check(GOOD, TERMS))
    money, goods = accounts["payment"], accounts["reservation"]
    assert money.out == {"EUR": 18616}
    assert money.back == {"EUR": 4021}
    assert money.by_hand == {"EUR": 2017}
    assert money.open == {"EUR": 1006}
    assert money.completed == {"EUR": 11572}
    assert goods.open == {"sku-until_stuck-6": 1, "sku-untold-6": 1}
    assert all(account.balanced for account in accounts.values())


def test_what_has_neither_money_nor_goods_is_counted() -> None:
    """A step whose command says no amount is done once for an order; what a person took as done was not done by it."""
    accounts = moved(check(GOOD, TERMS))
    assert accounts["shipping"].out == {"shipping": 5}
    assert (accounts["shipping"].completed, accounts["shipping"].open) == ({"shipping": 4}, {"shipping": 1})
    assert accounts["notice"].out == accounts["notice"].completed == {"notice": 5}


def test_currencies_are_not_mixed() -> None:
    """Each currency has its own account."""
    world = World()
    for way in WAYS[:2]:
        way(Case(world, way.__name__))
    dollars = tuple(replace(r, value=(r.value or b"").replace(b'"EUR"', b'"USD"')) for r in world.recording().records)
    good = replace(GOOD, records=(*GOOD.records, *dollars))
    assert set(moved(check(good, TERMS, settled=False))["payment"].out) == {"EUR", "USD"}


def test_a_pipe_gets_plain_lines() -> None:
    """No colour, no frame, one fact per line."""
    text = printed()
    assert "\x1b" not in text
    assert "│" not in text
    assert "orders placed: 38\n" in text
    assert text.splitlines()[-1] == "All 21 invariants hold."


def test_a_terminal_gets_a_table() -> None:
    """The same facts, in a frame."""
    text = printed(terminal=True)
    assert "│" in text
    for name, value in rows(check(GOOD, TERMS).totals):
        assert name in text
        assert value in text


def test_a_broken_invariant_is_told_with_its_saga() -> None:
    """The report names the invariant, what it says, the saga, and what is wrong."""
    text = printed("a command was sent twice")
    assert "INV-3 is broken 1 times: No command id was sent twice, and no timer took effect twice.\n" in text
    assert "  happy-0: command happy-0:payment:do:1 was sent twice, with the same content\n" in text
    assert text.splitlines()[-1] == "1 violations of 21 invariants."


@pytest.mark.parametrize("terminal", (False, True))
def test_a_strangers_words_are_nothing_that_a_terminal_obeys(*, terminal: bool) -> None:
    """Ids and reasons of records by anybody stand in the report: escapes stand for what isn't plain."""
    found = check(GOOD, TERMS)
    nasty = "m-\x1b[2J\r\nAll 21 invariants hold.\u202e[red]"
    totals = replace(found.totals, dead_letters={nasty: 1})
    report = replace(found, totals=totals, violations=(Violation("INV-3", nasty, nasty),))
    file = io.StringIO()
    show(report, Console(file=file, force_terminal=terminal, color_system=None, width=200))
    text = file.getvalue()
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert text.count(r"m-\x1b[2J\r\nAll 21 invariants hold.\u202e[red]") == 3
    assert "All 21 invariants hold." not in text.splitlines()


def test_many_violations_are_cut_short() -> None:
    """Ten of a kind are shown, the others counted."""
    world = World()
    for number in range(12):
        WAYS[0](Case(world, f"o-{number}"))
    silent = tuple(record for record in world.recording().records if record.topic != "order.outcomes")
    file = io.StringIO()
    show(check(replace(world.recording(), records=silent), TERMS), Console(file=file))
    assert "INV-24 is broken 12 times" in file.getvalue()
    assert "  and 2 more\n" in file.getvalue()
