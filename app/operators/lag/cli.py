"""`saga lag`: the lag of the orchestrator's group, once or live."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated

import typer
from rich.console import Console
from rich.live import Live

from app.operators.brokers import Deadline
from app.operators.lag import lag_output
from app.operators.lag.measure import measure
from app.operators.lag.partition_lag import PartitionLag, total
from app.operators.options import FAILED, AsJson, load_settings, plain_errors, saga_of, say
from app.ops.cluster_options import Bootstrap, Prefix
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import cluster_of
from app.ops.settings import Settings
from app.wire.topics import Topics

Watch = Annotated[
    float | None, typer.Option("--watch", min=0.2, help="Measure again after so many seconds, until Ctrl-C.")
]
FailOver = Annotated[
    int | None, typer.Option("--fail-over", min=0, help="Exit with code 1 as soon as the total lag is over this.")
]
Wait = Annotated[float, typer.Option("--wait", min=1, max=600, help="Seconds within which the brokers must answer.")]
Print = Callable[[list[PartitionLag], int], None]
"""Shows the lag of all partitions at a time (ms since 1970)."""


def lag(
    context: typer.Context,
    watch: Watch = None,
    as_json: AsJson = False,
    fail_over: FailOver = None,
    wait: Wait = 15,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show how far the orchestrator is behind on each input partition.

    The lag counts offsets up to the last stable one.

    Offsets behind an open transaction are held back: nobody can read them yet.

    The seconds are the age of the first record that is not decided.

    An auditor's permissions are enough.
    """
    with plain_errors(), suppress(KeyboardInterrupt):
        settings = load_settings(bootstrap, prefix)
        samples = _samples(settings, Topics(saga_of(context), settings.topic_prefix), wait, watch)
        with _printer(settings.group_id, as_json=as_json, live=watch is not None) as show_sample:
            for partitions, now_ms in samples:
                show_sample(partitions, now_ms)
                if fail_over is not None and total(partitions, now_ms).lag > fail_over:
                    raise typer.Exit(FAILED)


def _samples(
    settings: Settings, topics: Topics, wait: float, every: float | None
) -> Iterator[tuple[list[PartitionLag], int]]:
    """One measurement, or one after each pause of `every` seconds: then it outlasts brokers that are away."""
    cluster = cluster_of(settings)
    while True:
        try:
            found = measure(cluster, settings.group_id, topics.inputs, Deadline(wait))
            yield found, time.time_ns() // 1_000_000
        except CommandFailed as error:
            if every is None:
                raise
            say(f"error: {error}")
        if every is None:
            return
        time.sleep(every)


@contextmanager
def _printer(group: str, *, as_json: bool, live: bool) -> Iterator[Print]:
    """JSON lines for programs; on a terminal a table, which changes in place when it is live; else lines of cells."""
    if as_json:
        yield lambda partitions, now_ms: typer.echo(lag_output.json_line(group, partitions, now_ms))
    elif not sys.stdout.isatty():
        yield lambda partitions, now_ms: typer.echo("\n".join(lag_output.lines(partitions, now_ms)))
    elif not live:
        yield lambda partitions, now_ms: Console().print(lag_output.table(partitions, now_ms))
    else:
        with Live(console=Console(), auto_refresh=False, screen=False) as screen:
            yield lambda partitions, now_ms: screen.update(lag_output.table(partitions, now_ms), refresh=True)
