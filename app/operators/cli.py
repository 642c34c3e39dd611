"""`saga retry`, `saga skip`, `saga compensate`, `saga stuck`: operators' commands."""

import getpass
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import uuid4

import typer
from confluent_kafka import KafkaException
from rich.console import Console

from app.operators.stuck import StuckSagas, StuckStep
from app.ops import settings
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster, cluster_of
from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.invalid_record import InvalidRecord
from app.wire.terminal_text import printable

app = typer.Typer(no_args_is_help=True)

FAILED = 1  # exit code: refused, failed, or no decision came in time
WRONG = 2  # exit code: an argument or setting is invalid

Order = Annotated[str, typer.Argument(help="Order id.")]
Reason = Annotated[str, typer.Option(help="Why; recorded in the order's history.")]
Operator = Annotated[str | None, typer.Option(help="Who acts; recorded too. Default: the login name.")]
Step = Annotated[str | None, typer.Option(help="Only this stuck step; skip needs it when several are stuck.")]
Wait = Annotated[int, typer.Option(min=0, max=3600, help="Seconds to wait for the decision; 0: don't wait.")]
ProgressWait = Annotated[
    int, typer.Option("--wait", min=1, max=3600, help="Seconds without a new record after which reading ends.")
]
Bootstrap = Annotated[str | None, typer.Option(help="Bootstrap servers. Default: SAGA_KAFKA_BOOTSTRAP.")]
Prefix = Annotated[str | None, typer.Option(help="Prefix of every topic name. Default: SAGA_TOPIC_PREFIX.")]


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
    with _plain_errors():
        unread = read_all(_cluster(bootstrap, prefix), sagas.take, wait)
        steps = sagas.steps()
        _list(steps, as_json=as_json)
        if not steps:
            _say("no saga is stuck")
        _complain(sagas.unreadable, unread)
    _say(f"saga states read: {sagas.documents:,}")
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
    with _plain_errors():
        message = make(str(uuid4()), operator if operator is not None else _login(), reason)
        record = operation(order, message, time.time_ns() // 1_000_000)
        answer = operate(_cluster(*bootstrap_and_prefix), order, message.id, record, wait)
    typer.echo(printable(answer.sentence))
    raise typer.Exit(0 if answer.done else FAILED)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise InvalidRecord("invalid", "this login has no name: give one with --operator") from None


def _list(steps: list[StuckStep], *, as_json: bool) -> None:
    from app.operators import show

    if steps and not as_json and sys.stdout.isatty():
        show.table(steps, Console())
        return
    for step in steps:
        typer.echo(show.json_line(step) if as_json else "\t".join(show.cells(step)))


def _complain(unreadable: int, unread: list[int]) -> None:
    if unreadable:
        _say(f"error: states written by another version, possibly stuck and not listed: {unreadable}")
    if unread:
        numbers = ", ".join(map(str, unread))
        _say(f"error: partition {numbers} of saga.state was not read to its end (open transaction?): try again")


def _cluster(bootstrap: str | None, prefix: str | None) -> KafkaCluster:
    return cluster_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (InvalidRecord, settings.WrongSetting) as error:
        _say(f"error: {error}")
        raise typer.Exit(WRONG) from None
    except CommandFailed as error:
        _say(f"error: {error}")
        raise typer.Exit(FAILED) from None
    except KafkaException as error:
        _say(f"error: Kafka can't be used: {error.args[0].str()}")
        raise typer.Exit(FAILED) from None


def _say(line: str) -> None:
    typer.echo(line, err=True)
