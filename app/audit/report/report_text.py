"""A report as text: a table of totals, and the violations by invariant."""

from collections import defaultdict
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.audit.checks.conservation import GOODS, MONEY, Account, Amounts
from app.audit.invariants import INVARIANTS, Violation
from app.audit.report.report import Report
from app.audit.report.totals import Totals
from app.audit.spec import StepSpec
from app.wire.terminal_text import printable

Row = tuple[str, str]

_SHOWN = 10


def show(report: Report, console: Console) -> None:
    """Prints a report. The totals are a table on a terminal, and plain lines elsewhere."""
    if console.is_terminal:
        table = Table("total", "value", title="Totals of all topics")
        for name, value in rows(report.totals):
            table.add_row(name, Text(printable(value)))
        console.print(table)
    else:
        for name, value in rows(report.totals):
            _print(console, f"{name}: {value}")
    for line in lines(report):
        _print(console, line)


def _print(console: Console, line: str) -> None:
    console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def lines(report: Report) -> Iterator[str]:
    """The notes, then each broken invariant with its first violations, then the verdict."""
    yield from (f"Note: {note}" for note in report.notes)
    by_invariant: dict[str, list[Violation]] = defaultdict(list)
    for violation in report.violations:
        by_invariant[violation.invariant].append(violation)
    for invariant, violations in sorted(by_invariant.items(), key=lambda item: int(item[0].removeprefix("INV-"))):
        yield f"{invariant} is broken {len(violations)} times: {INVARIANTS[invariant]}"
        yield from (f"  {v.saga_id or '-'}: {v.text}" for v in violations[:_SHOWN])
        if len(violations) > _SHOWN:
            yield f"  and {len(violations) - _SHOWN} more"
    judged = f"{len(INVARIANTS) - 1} invariants"  # INV-17 can only be checked while a run goes on
    yield f"{len(report.violations)} violations of {judged}." if report.violations else f"All {judged} hold."


def rows(totals: Totals) -> list[Row]:
    """The totals as pairs of name and value."""
    dead_letters = ", ".join(f"{count} {reason}" for reason, count in totals.dead_letters.items())
    return [
        ("orders placed", f"{totals.orders_placed:,}"),
        ("orders, distinct", f"{totals.orders_distinct:,}"),
        ("orders, repeated without effect", f"{totals.orders_repeated:,}"),
        ("sagas started", f"{totals.started:,}"),
        ("completed", f"{totals.completed:,}"),
        ("rejected", f"{totals.rejected:,}"),
        ("cancelled", f"{totals.cancelled:,}"),
        ("stuck", f"{totals.stuck:,}"),
        ("still running", f"{totals.running:,}"),
        ("dead letters", dead_letters or "none"),
        ("decisions", f"{totals.decisions:,}"),
        ("commands", f"{totals.commands:,} ({totals.commands_retried:,} of them second or later attempts)"),
        ("replies", f"{totals.replies:,} ({totals.replies_repeated:,} repeated, {totals.replies_ignored:,} ignored)"),
        *(row for step, account in totals.accounts.items() for row in _participant(step, account)),
        ("records read", f"{totals.records:,}"),
    ]


def _participant(step: StepSpec, account: Account) -> Iterator[Row]:
    """Money has rows per currency; pieces and orders are summed."""
    if MONEY in step.do.fields:
        for currency in sorted({*account.moved, *account.completed}):
            yield from _account(f"{step.name}, smallest unit of {currency}", step, account, currency)
    else:
        yield from _account(f"{step.name}, {'items' if GOODS in step.do.fields else 'orders'}", step, account, None)


def _account(unit: str, step: StepSpec, account: Account, name: str | None) -> Iterator[Row]:
    yield f"{unit}: {_verb(step.succeeded)}", _amount(account.moved, name)
    if step.undone is not None:
        yield f"{unit}: {_verb(step.undone)}", _amount(account.returned, name)
    if account.settled_by_operator:
        yield f"{unit}: settled by an operator", _amount(account.settled_by_operator, name)
    if account.held:
        yield f"{unit}: held by stuck or running sagas", _amount(account.held, name)
    yield f"{unit}: kept", _amount(account.kept, name)
    yield f"{unit}: in completed orders", _amount(account.completed, name)


def _verb(type: str) -> str:
    return type.rpartition(".")[2]


def _amount(amounts: Amounts, name: str | None) -> str:
    return f"{sum(amounts.values()) if name is None else amounts[name]:,}"
