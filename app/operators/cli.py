"""Operators' commands: `saga retry`, `saga skip`, `saga compensate`, `saga stuck`; and those of other rooms."""

import sys
import time
from collections.abc import Callable
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console

from app.operators.dead_letters.cli import app as dead_letters
from app.operators.lag.cli import lag
from app.operators.options import FAILED, Operator, ProgressWait, load_cluster, login, plain_errors, say
from app.operators.stuck import StuckSagas, StuckStep
from app.ops.cluster_options import Bootstrap, Prefix
from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.terminal_text import printable

app = typer.Typer(no_args_is_help=True)
app.command()(lag)
app.add_typer(dead_letters, name="dead-letters")

Order = Annotated[str, typer.Argument(help="Order id.")]
Reason = Annotated[str, typer.Option(help="Why; recorded in the order's history.")]
Step = Annotated[str | None, typer.Option(help="Only this stuck step; skip needs it when several are stuck.")]
Wait = Annotated[int, typer.Option(min=0, max=3600, help="Seconds to wait for the decision; 0: don't wait.")]


def _step_command(kind: type[Retry | Skip]) -> Callable[..., None]:
    """The command that sends this operation for a stuck step."""

    def step_command(
        order: Order,
        reason: Reason,
        operator: Operator = None,
        step: Step = None,
        wait: Wait = 30,
        bootstrap: Bootstrap = None,
        prefix: Prefix = None,
    ) -> None:
        def make(id: str, operator: str, reason: str) -> Operation:
            return kind(id, operator, reason, step)

        _operate(make, order, (operator, reason), wait, (bootstrap, prefix))

    return step_command


app.command("retry", help="Request an order's stuck steps again, with fresh attempts.")(_step_command(Retry))
app.command("skip", help="Take an order's stuck step as done by hand, and go on.")(_step_command(Skip))


@app.command()
def compensate(
    order: Order,
    reason: Reason,
    operator: Operator = None,
    wait: Wait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Roll back an order that is running."""
    _operate(Compensate, order, (operator, reason), wait, (bootstrap, prefix))


@app.command()
def stuck(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit with code 1 when an order is stuck, for alerts.")] = False,
    wait: ProgressWait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """List the stuck steps, which wait for an operator, the oldest first."""
    from app.operators.states import read_all

    sagas = StuckSagas()
    with plain_errors():
        unread = read_all(load_cluster(bootstrap, prefix), sagas.take, wait)
        steps = sagas.steps()
        _list(steps, as_json=as_json)
        if not steps:
            say("no saga is stuck")
        _complain(sagas.unreadable, unread)
    say(f"saga states read: {sagas.documents:,}")
    raise typer.Exit(FAILED if unread or sagas.unreadable or (fail and steps) else 0)


def _operate(
    make: Callable[[str, str, str], Operation],
    order: str,
    operator_and_reason: tuple[str | None, str],
    wait: int,
    bootstrap_and_prefix: tuple[str | None, str | None],
) -> None:
    from app.operators.operate import operate
    from app.wire.operations import operation

    operator, reason = operator_and_reason
    with plain_errors():
        message = make(str(uuid4()), operator if operator is not None else login(), reason)
        record = operation(order, message, time.time_ns() // 1_000_000)
        answer = operate(load_cluster(*bootstrap_and_prefix), order, message.id, record, wait)
    typer.echo(printable(answer.sentence))
    raise typer.Exit(0 if answer.done else FAILED)


def _list(steps: list[StuckStep], *, as_json: bool) -> None:
    from app.operators import show

    if steps and not as_json and sys.stdout.isatty():
        show.table(steps, Console())
        return
    for step in steps:
        typer.echo(show.json_line(step) if as_json else "\t".join(show.cells(step)))


def _complain(unreadable: int, unread: list[int]) -> None:
    if unreadable:
        say(f"error: states written by another version, possibly stuck and not listed: {unreadable}")
    if unread:
        numbers = ", ".join(map(str, unread))
        say(f"error: partition {numbers} of saga.state was not read to its end (open transaction?): try again")
