"""The commands of the audit."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.audit.archive import load, save
from app.audit.invariants import check as judge
from app.audit.read import read
from app.audit.recording import Recording, RecordingError
from app.audit.refold import refold
from app.audit.table import show
from app.audit.terms import Terms, terms_of
from app.ops import settings
from app.ops.site import site_of
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
        str, typer.Option(envvar="SAGA_KAFKA_BOOTSTRAP", help="The brokers, host:port,host:port.")
    ] = "",
    prefix: Annotated[str, typer.Option(envvar="SAGA_TOPIC_PREFIX", help="What all topic names start with.")] = "",
    group: Annotated[
        str, typer.Option(envvar="SAGA_GROUP", help="The orchestrator's group, to which the prefix is added.")
    ] = "saga-orchestrator",
    file: Annotated[Path | None, typer.Option(help="Check a recording kept before, not a Kafka.")] = None,
    save_to: Annotated[
        Path | None, typer.Option("--save", help="Keep what was read; it holds the customers' data.")
    ] = None,
    running: Annotated[
        bool, typer.Option("--running", help="Don't blame what may still come: the run goes on.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds for reading it all.")] = 120.0,
) -> None:
    """Check every invariant that the topics can show; exit code 1 when one is broken, 2 when they can't be read."""
    saga = _saga(context)
    terms = terms_of(saga)
    try:
        recording = _recording(bootstrap, prefix, prefix + group, terms, file, timeout)
        if save_to is not None:
            save(recording, save_to)
    except (RecordingError, settings.WrongSetting, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    report = judge(recording, terms, settled=not running, fold=refold(saga))
    show(report, Console())
    raise typer.Exit(1 if report.violations else 0)


def _saga(context: typer.Context) -> Versions:
    """The versions of the saga that the command's composition root has put into the context."""
    found = context.obj
    if isinstance(found, Saga):
        return Versions((found,))
    if not isinstance(found, Versions):
        raise LookupError("no saga in the command's context: the root must set its obj to the saga's versions")
    return found


def _recording(bootstrap: str, prefix: str, group: str, terms: Terms, file: Path | None, timeout: float) -> Recording:
    if file is not None:
        return load(file)
    if not bootstrap:
        raise RecordingError("Name a Kafka with --bootstrap or SAGA_KAFKA_BOOTSTRAP, or a recording with --file.")
    site = site_of(settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    return read(site.client(), prefix, group, terms, timeout, local=site.access.local)
