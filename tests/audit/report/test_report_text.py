"""The report as text: the totals, and the violations by invariant."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from app.audit.check import check
from app.audit.invariants import Violation
from app.audit.report.report_text import rows, show
from tests.audit.case import Case
from tests.audit.mutants import MUTANTS
from tests.audit.runs import SCENARIOS, good_run
from tests.audit.sagas import SPEC
from tests.audit.topic_logs import TopicLogs

GOOD = good_run()


def printed(mutant: str | None = None, *, terminal: bool = False) -> str:
    """The report of the good run, or of a mutant."""
    recording = MUTANTS[mutant][1](GOOD) if mutant else GOOD
    file = io.StringIO()
    show(check(recording, SPEC), Console(file=file, force_terminal=terminal, width=200))
    return file.getvalue()


def test_a_pipe_gets_plain_lines() -> None:
    """The text has no colours and no frame, and one total per line."""
    text = printed()
    assert "\x1b" not in text
    assert "│" not in text
    assert "orders placed: 39\n" in text
    assert text.splitlines()[-1] == "All 21 invariants hold."


def test_a_terminal_gets_a_table() -> None:
    """The table has the same totals, in a frame."""
    text = printed(terminal=True)
    assert "│" in text
    for name, value in rows(check(GOOD, SPEC).totals):
        assert name in text
        assert value in text


def test_a_broken_invariant_is_named_with_its_saga() -> None:
    """The report gives the invariant's number and statement, the saga, and the violation."""
    text = printed("a command was sent twice")
    assert "INV-3 is broken 1 times: No command id is sent twice, and no timer fires twice.\n" in text
    assert "  happy-0: command happy-0:payment:do:1 was sent twice, with the same content\n" in text
    assert text.splitlines()[-1] == "1 violations of 21 invariants."


@pytest.mark.parametrize("terminal", (False, True))
def test_a_strangers_text_is_escaped(*, terminal: bool) -> None:
    """Ids and reasons from anybody's records can't send control sequences to the terminal."""
    report = check(GOOD, SPEC)
    nasty = "m-\x1b[2J\r\nAll 21 invariants hold.\u202e[red]"
    totals = replace(report.totals, dead_letters={nasty: 1})
    report = replace(report, totals=totals, violations=(Violation("INV-3", nasty, nasty),))
    file = io.StringIO()
    show(report, Console(file=file, force_terminal=terminal, color_system=None, width=200))
    text = file.getvalue()
    assert "\x1b[2J" not in text
    assert "\u202e" not in text
    assert text.count(r"m-\x1b[2J\r\nAll 21 invariants hold.\u202e[red]") == 3
    assert "All 21 invariants hold." not in text.splitlines()


def test_many_violations_are_cut_short() -> None:
    """Ten violations of an invariant are shown, the others only counted."""
    logs = TopicLogs()
    for number in range(12):
        SCENARIOS[0](Case(logs, f"o-{number}"))
    records = tuple(record for record in logs.recording().records if record.topic != "order.outcomes")
    file = io.StringIO()
    show(check(replace(logs.recording(), records=records), SPEC), Console(file=file))
    assert "INV-24 is broken 12 times" in file.getvalue()
    assert "  and 2 more\n" in file.getvalue()
