"""`saga wire`: the wire contract as documents, generated from the code."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from app.saga.definition import HasSteps, Saga
from app.saga.versions import Versions
from app.wire import asyncapi as api
from app.wire.schemas import documents, encoded
from app.wire.topics import Topic, Topics

app = typer.Typer(help="The wire contract: topics, JSON Schemas, AsyncAPI.", no_args_is_help=True)

Prefix = Annotated[str, typer.Option(envvar="SAGA_TOPIC_PREFIX", help="Prefix of all topic names.")]


@app.command()
def schemas(
    context: typer.Context, directory: Annotated[Path, typer.Argument(help="Created if it is missing.")]
) -> None:
    """Write a JSON Schema file for each message, for the history and for the state."""
    generated = documents(_saga(context))
    with _plain_errors():
        directory.mkdir(parents=True, exist_ok=True)
        for name, schema in generated.items():
            (directory / f"{name}.json").write_bytes(encoded(schema))
    typer.echo(f"{len(generated)} schemas written to {directory}")


@app.command()
def asyncapi(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="The file to write; printed if there is none.")] = None,
    prefix: Prefix = "",
) -> None:
    """Write the AsyncAPI document."""
    document = encoded(api.document(Topics(_saga(context), prefix)))
    if file is None:
        typer.echo(document, nl=False)
        return
    with _plain_errors():
        file.write_bytes(document)


@app.command()
def topics(context: typer.Context, prefix: Prefix = "") -> None:
    """Print every topic with its writers, its readers and its configuration."""
    known = Topics(_saga(context), prefix)
    rows = [("topic", "written by", "read by", "configuration"), *(_row(known, topic) for topic in known.all)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(known: Topics, topic: Topic) -> tuple[str, str, str, str]:
    config = " ".join(f"{name}={value}" for name, value in topic.config.items())
    return known.full(topic), topic.writer, topic.reader, config


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        typer.echo(f"error: cannot write {error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1) from None


def _saga(context: typer.Context) -> HasSteps:
    """The saga, or all its versions, which the composition root has put into the context."""
    saga = context.find_object(Versions) or context.find_object(Saga)
    if saga is None:
        raise LookupError("no saga in the command's context: the composition root must set `obj`")
    return saga
