"""The `saga` command: joins the commands of all rooms, and turns expected errors into a sentence and an exit code."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from shlex import quote
from typing import Annotated, NoReturn

import typer
from confluent_kafka import KafkaException

from app import runner
from app.audit.cli import app as audit
from app.demo.cli import demo
from app.devkafka.cli import app as kafka
from app.engine.errors import EngineStopped, NeedsOperator
from app.engine.kafka import topics_admin
from app.engine.kafka.permission_probe import try_out
from app.engine.process_exit import NEEDS_OPERATOR, NEEDS_RESTART
from app.operators.cli import app as operators
from app.operators.doctor import finding
from app.operators.doctor.checks import EngineChecks
from app.operators.doctor.cli import doctor
from app.operators.doctor.finding import Finding
from app.ops import logs
from app.ops.errors import CommandFailed
from app.ops.metrics import CannotServe
from app.ops.pid_file import leave, pid_file
from app.ops.settings import Settings, WrongSetting, load
from app.saga.versions import Versions
from app.samples.cli import app as samples
from app.traces.cli import traces
from app.wire.acls import Acls
from app.wire.cli import app as wire
from app.wire.topics import Topics

_EXPECTED_ERRORS = (CommandFailed, EngineStopped, WrongSetting, CannotServe, KafkaException, KeyboardInterrupt)


def command(sagas: Mapping[str, Versions], draw: runner.Draw) -> typer.Typer:
    """The `saga` command for these sagas, by name; `draw` builds the topology that `saga run` runs."""
    top = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_HELP)

    @top.callback()
    def choose_saga(
        context: typer.Context,
        definition: Annotated[
            str, typer.Option(envvar="SAGA_DEFINITION", help=f"The saga to use: {' or '.join(sagas)}.")
        ] = next(iter(sagas)),
    ) -> None:
        if context.invoked_subcommand == "run":
            logs.configure("INFO")  # until the settings are read, so that their errors are log lines too
        with _exit_with_sentence():
            if definition not in sagas:
                raise WrongSetting(f"SAGA_DEFINITION is wrong: there is no {definition}, but {' or '.join(sagas)}")
        os.environ["SAGA_DEFINITION"] = definition  # also for the processes that the demo starts
        context.obj = sagas[definition]

    top.add_typer(kafka, name="kafka")
    top.add_typer(wire, name="wire")
    top.add_typer(audit, name="audit")
    top.add_typer(_topics(), name="topics")
    top.command("run")(_run(draw))
    top.command("leave")(_leave)
    top.command("settings")(_settings)
    top.command("demo")(demo)
    top.command("doctor")(doctor(EngineChecks(_examine_topics, _examine_permissions)))
    top.command("traces")(traces)
    top.add_typer(operators)
    top.add_typer(samples)
    return top


_HELP = "Drives orders to completed or rolled back, exactly once, over Kafka."


def _run(draw: runner.Draw) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        """Run one pod of the orchestrator until SIGTERM or Ctrl-C; `saga settings` lists what can be set."""
        with _exit_with_sentence():
            settings = load()
            logs.configure(settings.log_level)
            runner.run(settings, context.obj, draw)

    return run


def _leave(
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait until the pod has stopped.")] = 30.0,
) -> None:
    """Stop the pod that runs here with these settings, for good: its partitions go to other pods at once."""
    with _exit_with_sentence():
        leave(pid_file(load()), wait)
        typer.echo("the pod has left its group and stopped")


def _settings() -> None:
    """Show every setting with its value and its meaning."""
    with _exit_with_sentence():
        settings = load()
    for name, field in Settings.model_fields.items():
        typer.echo(f"SAGA_{name.upper()}={getattr(settings, name)}\n    {field.description}")


def _topics() -> typer.Typer:
    topics = typer.Typer(no_args_is_help=True, help="Create or check the saga's topics; print the ACLs they need.")

    @topics.command()
    def create(
        context: typer.Context,
        partitions: Annotated[
            int,
            typer.Option(min=1, help="Partitions of every topic, for good; the most pods that can work at once."),
        ] = 12,
        replicas: Annotated[int, typer.Option(min=1, help="Replicas of every topic; 3 in production.")] = 1,
    ) -> None:
        """Create the topics that are missing. Existing topics stay as they are."""
        with _exit_with_sentence():
            settings = load()
            client, of_saga = runner.client_config(settings).common(), Topics(context.obj, settings.topic_prefix)
            made, there = topics_admin.create(client, of_saga, partitions, replicas, local=settings.local)
            for name in made:
                typer.echo(f"made   {name}")
            for name in there:
                typer.echo(f"there  {name}")

    @topics.command()
    def check(context: typer.Context) -> None:
        """Check brokers, permissions and topics as `saga run` does when it starts."""
        with _exit_with_sentence():
            settings = load()
            clients, of_saga = runner.client_config(settings), Topics(context.obj, settings.topic_prefix)
            partitions = topics_admin.check(clients.common(), of_saga, settings.min_replication, local=settings.local)
            try_out(clients, Acls(of_saga, settings.group_id))
            typer.echo(f"{len(of_saga.all)} topics of {partitions} partitions are as they should be")

    topics.command("acls")(_acls)
    return topics


def _acls(
    context: typer.Context,
    user: Annotated[str, typer.Option(help="The principal's name, without `User:`.")],
    role: Annotated[
        str,
        typer.Option(
            help="orchestrator, shop, operator, redrive, auditor, tracer, or a step's name for its participant."
        ),
    ] = "orchestrator",
) -> None:
    """Print the least permissions of a role, as `kafka-acls.sh` commands."""
    with _exit_with_sentence():
        settings = load()
        by_role = Acls(Topics(context.obj, settings.topic_prefix), settings.group_id).by_role
        if role not in by_role:
            raise WrongSetting(f"there is no role {role}, but {', '.join(by_role)}")
        for acl in by_role[role]:
            principal = quote(f"User:{user}")
            typer.echo(f'kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal {principal} {acl.rule}')


def _examine_topics(settings: Settings, topics: Topics) -> Iterable[Finding]:
    """What `saga topics check` finds about topics, all of it."""
    client = runner.client_config(settings).common()
    with _as_findings("topics") as found:
        partitions, flaws = topics_admin.examine(client, topics, settings.min_replication, local=settings.local)
        found += [finding.error("topics", flaw) for flaw in flaws]
        if not flaws:
            each = f"{partitions} partition{'s' * (partitions != 1)} each"
            found.append(finding.ok("topics", f"all {len(topics.all)} are as they should be, with {each}"))
    return found


def _examine_permissions(settings: Settings, topics: Topics) -> Iterable[Finding]:
    """Whether the brokers let a pod use its group and begin transactions."""
    with _as_findings("permissions") as found:
        try_out(runner.client_config(settings), Acls(topics, settings.group_id))
        found.append(finding.ok("permissions", "to use the group, and to begin transactions"))
    return found


@contextmanager
def _as_findings(check: str) -> Iterator[list[Finding]]:
    """The list that the block fills; an error that would stop a pod becomes a finding in it."""
    found: list[Finding] = []
    try:
        yield found
    except EngineStopped as error:
        found.append(finding.error(check, str(error), passes=not isinstance(error, NeedsOperator)))


@contextmanager
def _exit_with_sentence() -> Iterator[None]:
    """Ends the process with the sentence of an expected error and its exit code: 2 a person must act, 1 start it again.

    The expected error may be the cause of another, as where quixstreams wraps it.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, _EXPECTED_ERRORS):
            cause = cause.__cause__
        if cause is None:
            raise
        _exit(cause)


def _exit(cause: BaseException) -> NoReturn:
    """Ends the process at once: a commit that hangs on its own thread must not hold it."""
    sentence = cause.args[0].str() if isinstance(cause, KafkaException) else str(cause) or "interrupted"
    exit_code = NEEDS_OPERATOR if isinstance(cause, NeedsOperator | WrongSetting | CannotServe) else NEEDS_RESTART
    sys.stdout.flush()
    logs.last_line(sentence, exit_code)
    os._exit(exit_code)
