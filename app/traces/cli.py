"""The command `saga traces`."""

import signal
from enum import StrEnum
from typing import Annotated

import typer

from app.ops import settings
from app.ops.cluster_options import Bootstrap, Prefix
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import cluster_of


class Start(StrEnum):
    """Where reading starts."""

    committed = "committed"
    beginning = "beginning"


def traces(
    endpoint: Annotated[
        str | None,
        typer.Option(help="URL of the OTLP receiver: http://host:4318/v1/traces. Default: OTEL_EXPORTER_OTLP_*."),
    ] = None,
    start: Annotated[
        Start, typer.Option("--from", help="Start where the last run stopped, or at the beginning of the history.")
    ] = Start.committed,
    once: Annotated[bool, typer.Option("--once", help="Stop at the end of the history.")] = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Send each saga that ends as a trace, by OTLP/HTTP. A second run sends the same spans, with the same ids."""
    try:
        from app.traces.otlp import Exporter
    except ImportError as error:
        typer.echo('saga traces needs OpenTelemetry: pip install "order-saga[traces]"', err=True)
        raise typer.Exit(2) from error
    from app.traces.history_reader import HistoryReader

    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda caught, _: stopped.append(caught))
    exporter = Exporter(endpoint)
    try:
        cluster = cluster_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
        reader = HistoryReader(cluster, exporter.export, from_beginning=start is Start.beginning)
        reader.run(once=once, stopped=lambda: bool(stopped))
    except (CommandFailed, settings.WrongSetting) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2 if isinstance(error, settings.WrongSetting) else 1) from error
    finally:
        exporter.close()
    typer.echo(f"sagas: {reader.sagas:,}, spans: {reader.spans:,}, sagas under way: {reader.under_way:,}")
