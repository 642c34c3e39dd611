"""`saga place`, `saga cancel`, `saga orders`, `saga serve`: orders to try things with, and services that answer."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Event
from types import FrameType
from typing import Annotated

import typer

from app.ops.site import Site
from app.samples.behaviour import Behaviour, Range
from app.samples.outage import NEVER, Outage
from app.samples.trouble import Trouble

app = typer.Typer(no_args_is_help=True)
orders = typer.Typer(help="Realistic orders to try things with.", no_args_is_help=True)
app.add_typer(orders, name="orders")

_LEDGERS = Path(".state")
_AWAY = "Seconds after its start in which it reads and sends nothing; it comes back to all that came meanwhile."
_BROKEN = "Seconds after its start in which whatever it has not done yet fails, and may be tried again."


class ServiceName(StrEnum):
    """The sample services."""

    RESERVATION = "reservation"
    PAYMENT = "payment"
    SHIPPING = "shipping"
    NOTICE = "notice"


def _range(text: str) -> Range:
    """Milliseconds: `20`, or `5-20`."""
    least, _, most = text.partition("-")
    try:
        return int(least), int(most or least)
    except ValueError:
        raise typer.BadParameter(f"give milliseconds, as 20 or 5-20, not {text}") from None


def _outage(text: str | None) -> Outage:
    """Seconds: `10-40`."""
    begins, _, ends = (text or "").partition("-")
    try:
        return Outage(float(begins), float(ends)) if text is not None else NEVER
    except ValueError:
        raise typer.BadParameter(f"give seconds after the start, as 10-40, not {text}") from None


Bootstrap = Annotated[str | None, typer.Option(help="Kafka brokers: host:port. Default: SAGA_KAFKA_BOOTSTRAP.")]
Prefix = Annotated[str | None, typer.Option(help="Put before each topic's name. Default: SAGA_TOPIC_PREFIX.")]


@app.command()
def place(
    file: Annotated[str, typer.Argument(help="NDJSON, or CSV when its name ends in .csv; - is NDJSON from stdin.")],
    rate: Annotated[float | None, typer.Option(min=0.001, help="Orders a second; default: as fast as it goes.")] = None,
    hostile: Annotated[int, typer.Option(min=0, help="So many records beside them that must be dead letters.")] = 0,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Place the orders of a file. Placed again, they are the same messages, and change nothing."""
    from app.samples import files
    from app.samples.hostile import hostile as hostile_records
    from app.samples.place import Shop, place_all

    with _plain_errors():
        if file != files.STDIN:
            for _ in files.read(file):  # a file with a mistake in it places nothing
                pass
        shop = Shop(_site(bootstrap, prefix))
        try:
            with shop:
                place_all(shop, files.read(file), rate, hostile_records(hostile, seed=0))
        finally:
            _say(f"Orders placed: {shop.placed:,}")


@app.command()
def cancel(
    order: Annotated[str, typer.Argument(help="The order's id.")],
    reason: Annotated[str, typer.Option(help="Why; it stays in the order's history.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Ask for an order to be rolled back; the answer is among the outcomes."""
    from app.samples.place import Shop

    with _plain_errors():
        with Shop(_site(bootstrap, prefix)) as shop:
            shop.cancel(order, reason)
        _say(f"Asked for {order} to be cancelled")


@orders.command()
def generate(
    count: Annotated[int, typer.Option(min=0, help="How many orders, duplicates not counted.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    declined: Annotated[float, typer.Option(help="Share whose payment will be declined.")] = 0.0,
    sold_out: Annotated[float, typer.Option(help="Share with a product that is not in stock.")] = 0.0,
    nowhere: Annotated[float, typer.Option(help="Share of customers to whom no carrier goes.")] = 0.0,
    duplicates: Annotated[float, typer.Option(help="Share that is there a second time.")] = 0.0,
) -> None:
    """Write orders to standard output, one JSON object a line."""
    from app.samples import files
    from app.samples.orders import Shares, placements

    with _plain_errors():
        for placement in placements(count, seed, Shares(declined, sold_out, duplicates, nowhere)):
            sys.stdout.buffer.write(files.line(placement))
        sys.stdout.buffer.flush()


@app.command()
def serve(
    service: ServiceName,
    ledger: Annotated[Path | None, typer.Option(help="Where its books are. Default: .state/SERVICE.sqlite.")] = None,
    instance: Annotated[str, typer.Option(help="Its own name among the processes of the service.")] = "1",
    seed: Annotated[int, typer.Option(help="The same seed has the same commands go wrong.")] = 0,
    refuse: Annotated[float, typer.Option(help="Share of orders refused, marked ones not counted.")] = 0.0,
    fail: Annotated[float, typer.Option(help="Share of attempts that fail and may be tried again.")] = 0.0,
    fail_for_good: Annotated[float, typer.Option(help="Share of dos that fail for good.")] = 0.0,
    fail_undo_for_good: Annotated[float, typer.Option(help="Share of undos that fail for good.")] = 0.0,
    duplicate: Annotated[float, typer.Option(help="Share of replies that are sent twice.")] = 0.0,
    lose: Annotated[float, typer.Option(help="Share of replies that are never sent.")] = 0.0,
    crash: Annotated[float, typer.Option(help="Share of commands at which the process dies (exit code 137).")] = 0.0,
    slow: Annotated[float, typer.Option(help="Share of replies that are slow.")] = 0.0,
    delay: Annotated[str, typer.Option(metavar="MS[-MS]", help="Before each other reply.")] = "0",
    slow_delay: Annotated[str, typer.Option(metavar="MS[-MS]", help="Before each slow reply.")] = "1000-3000",
    away: Annotated[str | None, typer.Option(metavar="FROM-TO", help=_AWAY)] = None,
    broken: Annotated[str | None, typer.Option(metavar="FROM-TO", help=_BROKEN)] = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Run a sample service until Ctrl-C or SIGTERM; started again on the same ledger it goes on where it was."""
    with _plain_errors():
        shares = (refuse, fail, fail_for_good, fail_undo_for_good, duplicate, lose, crash, slow)
        behaviour = Behaviour(seed, *shares, _range(delay), _range(slow_delay), _outage(away), _outage(broken))
        _serve(service, behaviour, ledger or _LEDGERS / f"{service}.sqlite", _site(bootstrap, prefix), instance)


def _serve(name: ServiceName, behaviour: Behaviour, file: Path, site: Site, instance: str) -> None:
    from app.ops import logs, settings
    from app.samples.ledger import Ledger
    from app.samples.notice import NOTICE
    from app.samples.participant import Participant
    from app.samples.payment import PAYMENT
    from app.samples.reservation import RESERVATION
    from app.samples.shipping import SHIPPING

    logs.configure(settings.load().log_level)
    service = {service.name: service for service in (RESERVATION, PAYMENT, SHIPPING, NOTICE)}[name]
    with closing(Ledger(file)) as ledger, _until_told_to_stop() as stopped:
        participant = Participant(service, behaviour, ledger, site, instance)
        _say(f"The {name} service answers {site.full(service.commands_topic)}; end it with Ctrl-C")
        participant.run(stopped)
        _say(f"Commands answered: {participant.answered:,}")


def _site(bootstrap: str | None, prefix: str | None) -> Site:
    from app.ops import settings
    from app.ops.site import site_of

    try:
        return site_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    except settings.WrongSetting as wrong:
        raise Trouble(str(wrong)) from wrong


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except Trouble as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None


@contextmanager
def _until_told_to_stop() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C or SIGTERM came; while the block runs they do nothing else."""
    told = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        told.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield told.is_set
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _say(line: str) -> None:
    typer.echo(line, err=True)
