"""`saga place`, `saga cancel`, `saga orders`, `saga serve`: sample orders, and sample services that answer."""

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

from app.ops.cluster_options import Bootstrap, Prefix
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.samples.participant.fault_plan import NEVER, FaultPlan, Outage, Range

app = typer.Typer(no_args_is_help=True)
orders = typer.Typer(help="Generate realistic orders.", no_args_is_help=True)
app.add_typer(orders, name="orders")

_LEDGERS = Path(".state")
_AWAY = "Outage in seconds after the start: the service reads and sends nothing, and answers its backlog afterwards."
_BROKEN = "Outage in seconds after the start: every command not done before fails and may be retried."


class ServiceName(StrEnum):
    """The sample services."""

    RESERVATION = "reservation"
    PAYMENT = "payment"
    SHIPPING = "shipping"
    NOTICE = "notice"


def _range(text: str) -> Range:
    """Parses milliseconds: `20`, or `5-20`."""
    least, _, most = text.partition("-")
    try:
        return int(least), int(most or least)
    except ValueError:
        raise typer.BadParameter(f"give milliseconds, such as 20 or 5-20, not {text}") from None


def _outage(text: str | None) -> Outage:
    """Parses seconds: `10-40`; None is no outage."""
    begins, _, ends = (text or "").partition("-")
    try:
        return Outage(float(begins), float(ends)) if text is not None else NEVER
    except ValueError:
        raise typer.BadParameter(f"give seconds after the start, such as 10-40, not {text}") from None


@app.command()
def place(
    file: Annotated[str, typer.Argument(help="NDJSON, or CSV if its name ends in .csv; - reads NDJSON from stdin.")],
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Orders per second. Default: as fast as possible.")
    ] = None,
    invalid_orders: Annotated[
        int, typer.Option("--hostile", min=0, help="Invalid records to send too; each must become a dead letter.")
    ] = 0,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Place the orders of a file. Placing them again repeats the same messages, which changes nothing."""
    from app.samples.shop import order_files
    from app.samples.shop.invalid_orders import invalid_orders as invalid_records
    from app.samples.shop.shop_client import ShopClient, place_all

    with _plain_errors():
        if file != order_files.STDIN:
            for _ in order_files.read(file):  # a file with an error in it places nothing
                pass
        shop = ShopClient(_cluster(bootstrap, prefix))
        try:
            with shop:
                place_all(shop, order_files.read(file), rate, invalid_records(invalid_orders, seed=0))
        finally:
            _say(f"Orders placed: {shop.placed:,}")


@app.command()
def cancel(
    order: Annotated[str, typer.Argument(help="Order id.")],
    reason: Annotated[str, typer.Option(help="Why; recorded in the order's history.")],
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Request that an order is cancelled; the answer comes in `order.outcomes`."""
    from app.samples.shop.shop_client import ShopClient

    with _plain_errors():
        with ShopClient(_cluster(bootstrap, prefix)) as shop:
            shop.cancel(order, reason)
        _say(f"Cancel of {order} requested")


@orders.command()
def generate(
    count: Annotated[int, typer.Option(min=0, help="Orders to generate, duplicates not counted.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    declined: Annotated[float, typer.Option(help="Share (0 to 1) whose payment will be declined.")] = 0.0,
    sold_out: Annotated[float, typer.Option(help="Share with a product that is out of stock.")] = 0.0,
    nowhere: Annotated[float, typer.Option(help="Share with an address that no carrier serves.")] = 0.0,
    duplicates: Annotated[float, typer.Option(help="Share that is written a second time.")] = 0.0,
) -> None:
    """Write orders to standard output, one JSON object per line."""
    from app.samples.shop import order_files
    from app.samples.shop.orders import OrderMix, placements

    with _plain_errors():
        for placement in placements(count, seed, OrderMix(declined, sold_out, duplicates, nowhere)):
            sys.stdout.buffer.write(order_files.line(placement))
        sys.stdout.buffer.flush()


@app.command()
def serve(
    service: ServiceName,
    ledger: Annotated[Path | None, typer.Option(help="Ledger file. Default: .state/SERVICE.sqlite.")] = None,
    instance: Annotated[str, typer.Option(help="Name of this process, unique within the service.")] = "1",
    seed: Annotated[int, typer.Option(help="The same seed injects faults into the same commands.")] = 0,
    refuse: Annotated[float, typer.Option(help="Share (0 to 1) of orders refused, beside those marked for it.")] = 0.0,
    fail: Annotated[float, typer.Option(help="Share of attempts that fail and may be retried.")] = 0.0,
    fail_for_good: Annotated[float, typer.Option(help="Share of do attempts that fail for good.")] = 0.0,
    fail_undo_for_good: Annotated[float, typer.Option(help="Share of undo attempts that fail for good.")] = 0.0,
    duplicate: Annotated[float, typer.Option(help="Share of replies sent twice.")] = 0.0,
    lose: Annotated[float, typer.Option(help="Share of replies never sent.")] = 0.0,
    crash: Annotated[float, typer.Option(help="Share of commands that crash the process (exit code 137).")] = 0.0,
    slow: Annotated[float, typer.Option(help="Share of replies that are slow.")] = 0.0,
    delay: Annotated[str, typer.Option(metavar="MS[-MS]", help="Delay of the other replies.")] = "0",
    slow_delay: Annotated[str, typer.Option(metavar="MS[-MS]", help="Delay of slow replies.")] = "1000-3000",
    away: Annotated[str | None, typer.Option(metavar="FROM-TO", help=_AWAY)] = None,
    broken: Annotated[str | None, typer.Option(metavar="FROM-TO", help=_BROKEN)] = None,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Run a sample service until Ctrl-C or SIGTERM; started again with the same ledger it continues its work."""
    with _plain_errors():
        shares = (refuse, fail, fail_for_good, fail_undo_for_good, duplicate, lose, crash, slow)
        faults = FaultPlan(seed, *shares, _range(delay), _range(slow_delay), _outage(away), _outage(broken))
        _serve(service, faults, ledger or _LEDGERS / f"{service}.sqlite", _cluster(bootstrap, prefix), instance)


def _serve(name: ServiceName, faults: FaultPlan, file: Path, cluster: KafkaCluster, instance: str) -> None:
    from app.ops import logs, settings
    from app.samples.participant.ledger import Ledger
    from app.samples.participant.server import ParticipantServer
    from app.samples.services.notice import NOTICE
    from app.samples.services.payment import PAYMENT
    from app.samples.services.reservation import RESERVATION
    from app.samples.services.shipping import SHIPPING

    logs.configure(settings.load().log_level)
    service = {service.name: service for service in (RESERVATION, PAYMENT, SHIPPING, NOTICE)}[name]
    with closing(Ledger(file)) as ledger, _stop_signals() as stopped:
        participant = ParticipantServer(service, faults, ledger, cluster, instance)
        _say(f"The {name} service answers {cluster.full(service.commands_topic)}; end it with Ctrl-C")
        participant.run(stopped)
        _say(f"Commands answered: {participant.answered:,}")


def _cluster(bootstrap: str | None, prefix: str | None) -> KafkaCluster:
    from app.ops import settings
    from app.ops.kafka_cluster import cluster_of

    try:
        return cluster_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    except settings.WrongSetting as wrong:
        raise CommandFailed(str(wrong)) from wrong


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except CommandFailed as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Whether SIGINT or SIGTERM came; within the block these signals do nothing else."""
    stopped = Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped.is_set
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _say(line: str) -> None:
    typer.echo(line, err=True)
