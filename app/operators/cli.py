"""`saga retry`, `saga skip`, `saga compensate`, `saga stuck`: what people do about sagas."""

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
from app.operators.trouble import Trouble
from app.ops import settings
from app.ops.site import Site, site_of
from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.bad import Bad
from app.wire.plain import plain

app = typer.Typer(no_args_is_help=True)

FAILED = 1  # exit code: it was not done, or not known to be
WRONG = 2  # exit code: what was given can't be right

Order = Annotated[str, typer.Argument(help="The order's id.")]
Reason = Annotated[str, typer.Option(help="Why; it stays in the order's history.")]
Operator = Annotated[str | None, typer.Option(help="Who; it stays there too. Default: the login name.")]
Step = Annotated[str | None, typer.Option(help="Which step, where several are stuck.")]
Wait = Annotated[int, typer.Option(min=0, max=3600, help="Seconds for what comes of it; 0 doesn't wait.")]
Patience = Annotated[int, typer.Option("--wait", min=1, max=3600, help="Seconds without any progress.")]
Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers: host:port. Default: SAGA_KAFKA_BOOTSTRAP.")]
Prefix = Annotated[str | None, typer.Option(help="Put before each topic's name. Default: SAGA_TOPIC_PREFIX.")]


def _see_to(kind: type[Retry | Skip]) -> Callable[..., None]:
    """The command that sees to what is stuck in this way."""

    def see_to(
        order: Order,
        reason: Reason,
        operator: Operator = None,
        step: Step = None,
        wait: Wait = 30,
        bootstrap: Bootstrap = None,
        prefix: Prefix = None,
    ) -> None:
        def wish(id: str, who: str, why: str) -> Operation:
            return kind(id, who, why, step)

        _operate(wish, order, (operator, reason), wait, (bootstrap, prefix))

    return see_to


app.command("retry", help="Have what is stuck in an order asked for again, with fresh attempts.")(_see_to(Retry))
app.command("skip", help="Take what is stuck in an order as done by hand, and go on.")(_see_to(Skip))


@app.command()
def compensate(
    order: Order,
    reason: Reason,
    operator: Operator = None,
    wait: Wait = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Have an order that is under way rolled back."""
    _operate(Compensate, order, (operator, reason), wait, (bootstrap, prefix))


@app.command()
def stuck(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 when there is one, for alerts.")] = False,
    wait: Patience = 30,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """List the orders that wait for a person, the oldest first."""
    from app.operators.states import read_all

    sagas = StuckSagas()
    with _plain_errors():
        unread = read_all(_site(bootstrap, prefix), sagas.take, wait)
        steps = sagas.steps()
        _list(steps, as_json=as_json)
        if not steps:
            _say("no saga is stuck")
        _complain(sagas.unreadable, unread)
    _say(f"states of sagas read: {sagas.documents:,}")
    raise typer.Exit(FAILED if unread or sagas.unreadable or (fail and steps) else 0)


def _operate(
    wanted: Callable[[str, str, str], Operation],
    order: str,
    words: tuple[str | None, str],
    wait: int,
    where: tuple[str | None, str | None],
) -> None:
    from app.operators.operate import operate
    from app.wire.operations import operation

    operator, reason = words
    with _plain_errors():
        wish = wanted(str(uuid4()), operator if operator is not None else _login(), reason)
        record = operation(order, wish, time.time_ns() // 1_000_000)
        answer = operate(_site(*where), order, wish.id, record, wait)
    typer.echo(plain(answer.sentence))
    raise typer.Exit(0 if answer.done else FAILED)


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise Bad("invalid", "this login has no name: say who acts with --operator") from None


def _list(steps: list[StuckStep], *, as_json: bool) -> None:
    from app.operators import show

    if steps and not as_json and sys.stdout.isatty():
        show.table(steps, Console())
        return
    for step in steps:
        typer.echo(show.json_line(step) if as_json else "\t".join(show.cells(step)))


def _complain(unreadable: int, unread: list[int]) -> None:
    if unreadable:
        _say(f"error: sagas that may be stuck but are written by another version, so not listed: {unreadable}")
    if unread:
        numbers = ", ".join(map(str, unread))
        _say(f"error: not read to the end, as a transaction is open: partition {numbers} of saga.state; try again")


def _site(bootstrap: str | None, prefix: str | None) -> Site:
    return site_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except (Bad, settings.WrongSetting) as error:
        _say(f"error: {error}")
        raise typer.Exit(WRONG) from None
    except Trouble as error:
        _say(f"error: {error}")
        raise typer.Exit(FAILED) from None
    except KafkaException as error:
        _say(f"error: Kafka can't be used: {error.args[0].str()}")
        raise typer.Exit(FAILED) from None


def _say(line: str) -> None:
    typer.echo(line, err=True)
