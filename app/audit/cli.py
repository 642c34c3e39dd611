"""The command `saga audit check`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.audit.check import check as judge
from app.audit.checks.state_fold import state_fold
from app.audit.recording.from_kafka import read
from app.audit.recording.recording import Recording, RecordingError
from app.audit.recording.recording_file import load, save
from app.audit.report.report_text import show
from app.audit.spec import SagaSpec, spec_of
from app.ops import settings
from app.ops.kafka_cluster import cluster_of
from app.saga.definition import Saga
from app.saga.versions import Versions

app = typer.Typer(no_args_is_help=True, help="Prove from the topics alone that nothing was lost or done twice.")


@app.callback()
def audit() -> None:
    """Prove from the topics alone that nothing was lost or done twice."""


@app.command()
def check(
    context: typer.Context,
    bootstrap: Annotated[
        str, typer.Option(envvar="SAGA_KAFKA_BOOTSTRAP", help="Kafka brokers to start from: host:port,host:port.")
    ] = "",
    prefix: Annotated[
        str, typer.Option(envvar="SAGA_TOPIC_PREFIX", help="Prefix of all topics and of the group.")
    ] = "",
    group: Annotated[
        str, typer.Option(envvar="SAGA_GROUP", help="The orchestrator's consumer group, without the prefix.")
    ] = "saga-orchestrator",
    file: Annotated[Path | None, typer.Option(help="Check a saved recording instead of a Kafka cluster.")] = None,
    save_to: Annotated[
        Path | None, typer.Option("--save", help="Save the recording to this file. It holds customer data.")
    ] = None,
    running: Annotated[
        bool, typer.Option("--running", help="The run goes on: don't report missing records that may still come.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds allowed for reading the topics.")] = 120.0,
) -> None:
    """Check every invariant that the topics can show. Exit code 1: one is broken; 2: the topics can't be read."""
    saga = _saga(context)
    spec = spec_of(saga)
    try:
        recording = _recording(bootstrap, prefix, prefix + group, spec, file, timeout)
        if save_to is not None:
            save(recording, save_to)
    except (RecordingError, settings.WrongSetting, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    report = judge(recording, spec, settled=not running, fold=state_fold(saga))
    show(report, Console())
    raise typer.Exit(1 if report.violations else 0)


def _saga(context: typer.Context) -> Versions:
    """The saga's versions, which the composition root of the command puts into the context. Raises LookupError."""
    saga = context.obj
    if isinstance(saga, Saga):
        return Versions((saga,))
    if not isinstance(saga, Versions):
        raise LookupError("the command's context has no saga: the root must set its obj to the saga's versions")
    return saga


def _recording(bootstrap: str, prefix: str, group: str, spec: SagaSpec, file: Path | None, timeout: float) -> Recording:
    if file is not None:
        return load(file)
    if not bootstrap:
        raise RecordingError("Name the brokers with --bootstrap or SAGA_KAFKA_BOOTSTRAP, or a recording with --file.")
    cluster = cluster_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    return read(cluster.client(), prefix, group, spec, timeout, local=cluster.security.local)
