"""`saga wire`: the contract as documents, made from the code."""

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

app = typer.Typer(help="What crosses Kafka: topics, JSON Schemas, AsyncAPI.", no_args_is_help=True)

Prefix = Annotated[str, typer.Option(envvar="SAGA_TOPIC_PREFIX", help="What all topic names start with.")]


@app.command()
def schemas(
    context: typer.Context, directory: Annotated[Path, typer.Argument(help="Made when it isn't there.")]
) -> None:
    """Write a JSON Schema file for each message, for the history and for the state."""
    made = documents(_saga(context))
    with _plain_errors():
        directory.mkdir(parents=True, exist_ok=True)
        for name, schema in made.items():
            (directory / f"{name}.json").write_bytes(encoded(schema))
    typer.echo(f"{len(made)} schemas written to {directory}")


@app.command()
def asyncapi(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where to write it; without one it is printed.")] = None,
    prefix: Prefix = "",
) -> None:
    """Write the AsyncAPI document."""
    made = encoded(api.document(Topics(_saga(context), prefix)))
    if file is None:
        typer.echo(made, nl=False)
        return
    with _plain_errors():
        file.write_bytes(made)


@app.command()
def topics(context: typer.Context, prefix: Prefix = "") -> None:
    """Print every topic: who writes it, who reads it, how it is kept."""
    known = Topics(_saga(context), prefix)
    rows = [("topic", "who writes", "who reads", "configuration"), *(_row(known, topic) for topic in known.all)]
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
    """The saga, or all its versions, that the command's composition root has put into the context."""
    saga = context.find_object(Versions) or context.find_object(Saga)
    if saga is None:
        raise LookupError("no saga in the command's context: the root must set its obj to one")
    return saga
