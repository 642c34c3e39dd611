"""What the commands of operators share: options, exit codes, and expected errors as one sentence."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from confluent_kafka import KafkaException

from app.ops import settings
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster, cluster_of
from app.saga.versions import Versions
from app.wire.invalid_record import InvalidRecord

FAILED = 1  # exit code: refused, failed, or no decision came in time
WRONG = 2  # exit code: an argument or setting is invalid

Operator = Annotated[str | None, typer.Option(help="Who acts; recorded too. Default: the login name.")]
ProgressWait = Annotated[
    int, typer.Option("--wait", min=1, max=3600, help="Seconds without a new record after which reading ends.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


def load_settings(bootstrap: str | None, prefix: str | None) -> settings.Settings:
    """The settings of the environment, overridden by these options. Raises WrongSetting."""
    return settings.load(kafka_bootstrap=bootstrap, topic_prefix=prefix)


def load_cluster(bootstrap: str | None, prefix: str | None) -> KafkaCluster:
    """The cluster of these settings. Raises WrongSetting."""
    return cluster_of(load_settings(bootstrap, prefix))


def saga_of(context: typer.Context) -> Versions:
    """The saga's versions, which the composition root has put into the context."""
    versions = context.find_object(Versions)
    if versions is None:
        raise LookupError("no saga in the command's context: the composition root must set `obj`")
    return versions


def login() -> str:
    """The name of the user who runs this process. Raises InvalidRecord when there is none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise InvalidRecord("invalid", "this login has no name: give one with --operator") from None


@contextmanager
def plain_errors() -> Iterator[None]:
    """Prints an expected error as one sentence, and exits with its code."""
    try:
        yield
    except (InvalidRecord, settings.WrongSetting) as error:
        say(f"error: {error}")
        raise typer.Exit(WRONG) from None
    except CommandFailed as error:
        say(f"error: {error}")
        raise typer.Exit(FAILED) from None
    except KafkaException as error:
        say(f"error: Kafka can't be used: {error.args[0].str()}")
        raise typer.Exit(FAILED) from None


def say(line: str) -> None:
    """Prints a line to standard error."""
    typer.echo(line, err=True)
