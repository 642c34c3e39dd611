"""The `saga` command: every part's commands under one roof."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from shlex import quote
from typing import Annotated, NoReturn

import typer
from confluent_kafka import KafkaException

from app import runner
from app.audit.cli import app as audit
from app.demo.cli import demo
from app.devkafka.cli import app as kafka
from app.engine import admin
from app.engine.errors import Refused, Stopped
from app.engine.trial import try_out
from app.operators.cli import app as operators
from app.ops import logs
from app.ops.metrics import CannotServe
from app.ops.settings import Settings, WrongSetting, load
from app.saga.versions import Versions
from app.samples.cli import app as samples
from app.wire.cli import app as wire
from app.wire.rights import Rights
from app.wire.topics import Topics

_TOLD = (Stopped, WrongSetting, CannotServe, KafkaException, KeyboardInterrupt)
UNUSABLE = 2  # exit code: a setting or topic must be changed first
ENDED = 1  # exit code: start it again


def command(sagas: Mapping[str, Versions], draw: runner.Draw) -> typer.Typer:
    """The command for these sagas, by name, and the topology that runs them."""
    top = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_HELP)

    @top.callback()
    def given(
        context: typer.Context,
        definition: Annotated[
            str, typer.Option(envvar="SAGA_DEFINITION", help=f"Which saga: {' or '.join(sagas)}.")
        ] = next(iter(sagas)),
    ) -> None:
        with _told():
            if definition not in sagas:
                raise WrongSetting(f"SAGA_DEFINITION is wrong: there is no {definition}, but {' or '.join(sagas)}")
        os.environ["SAGA_DEFINITION"] = definition  # also for the processes that the demo starts
        context.obj = sagas[definition]

    top.add_typer(kafka, name="kafka")
    top.add_typer(wire, name="wire")
    top.add_typer(audit, name="audit")
    top.add_typer(_topics(), name="topics")
    top.command("run")(_run(draw))
    top.command("settings")(_settings)
    top.command("demo")(demo)
    top.add_typer(operators)
    top.add_typer(samples)
    return top


_HELP = "Drives orders to completed or rolled back, exactly once, over Kafka."


def _run(draw: runner.Draw) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        """Run one pod of the orchestrator until SIGTERM or Ctrl-C. `saga settings` shows what it can be told."""
        with _told():
            settings = load()
            logs.configure(settings.log_level)
            runner.run(settings, context.obj, draw)

    return run


def _settings() -> None:
    """Show every setting: what it is for, and what it is now."""
    with _told():
        settings = load()
    for name, field in Settings.model_fields.items():
        typer.echo(f"SAGA_{name.upper()}={getattr(settings, name)}\n    {field.description}")


def _topics() -> typer.Typer:
    topics = typer.Typer(no_args_is_help=True, help="The saga's topics on the brokers.")

    @topics.command()
    def create(
        context: typer.Context,
        partitions: Annotated[
            int, typer.Option(min=1, help="Of every topic, for life: the most pods there can ever be.")
        ] = 12,
        replicas: Annotated[int, typer.Option(min=1, help="Of every topic; 3 in production.")] = 1,
    ) -> None:
        """Make the topics that are missing. What is there stays as it is."""
        with _told():
            settings = load()
            client, of_saga = runner.clients(settings).plain(), Topics(context.obj, settings.topic_prefix)
            made, there = admin.create(client, of_saga, partitions, replicas, local=settings.local)
            for name in made:
                typer.echo(f"made   {name}")
            for name in there:
                typer.echo(f"there  {name}")

    @topics.command()
    def check(context: typer.Context) -> None:
        """Check brokers, permissions and topics as `saga run` does when it starts."""
        with _told():
            settings = load()
            clients, of_saga = runner.clients(settings), Topics(context.obj, settings.topic_prefix)
            partitions = admin.check(clients.plain(), of_saga, settings.min_replication, local=settings.local)
            try_out(clients, Rights(of_saga, settings.group_id))
            typer.echo(f"{len(of_saga.all)} topics of {partitions} partitions are as they should be")

    topics.command("acls")(_acls)
    return topics


def _acls(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="Who is granted them, as brokers know it.")],
    role: Annotated[
        str, typer.Option(help="A step's name for its service, shop, operator or auditor.")
    ] = "orchestrator",
) -> None:
    """Print the least permissions that a part needs, as commands for `kafka-acls.sh`."""
    with _told():
        settings = load()
        by_role = Rights(Topics(context.obj, settings.topic_prefix), settings.group_id).by_role
        if role not in by_role:
            raise WrongSetting(f"there is no role {role}, but {', '.join(by_role)}")
        for right in by_role[role]:
            who = quote(f"User:{user}")
            typer.echo(f'kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal {who} {right.rule}')


@contextmanager
def _told() -> Iterator[None]:
    """Says in one sentence why something can't be done, and ends with an exit code that tells which kind it is."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, _TOLD):
            cause = cause.__cause__
        if cause is None:
            raise
        _end(cause)


def _end(cause: BaseException) -> NoReturn:
    """Ends the process at once: a commit that hangs on its own thread must not hold it."""
    said = cause.args[0].str() if isinstance(cause, KafkaException) else str(cause) or "interrupted"
    sys.stdout.flush()
    print(f"saga: {said}", file=sys.stderr, flush=True)
    os._exit(UNUSABLE if isinstance(cause, Refused | WrongSetting | CannotServe) else ENDED)
