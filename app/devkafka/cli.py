"""`saga kafka start`, a real Kafka in the foreground, and `saga kafka fetch`, which only installs it."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from app.devkafka.cache import install
from app.devkafka.cluster import LocalKafka
from app.devkafka.errors import DevKafkaError
from app.devkafka.ports import is_free
from app.devkafka.properties import Profile

app = typer.Typer(help="Run a real Apache Kafka on this computer, installed by itself.", no_args_is_help=True)

_USUAL_PORT = 9092
_WATCH_PAUSE = 0.2  # seconds
_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@app.command()
def start(
    brokers: Annotated[int, typer.Option(help="Number of brokers: 1, or 3 that replicate every topic.")] = 1,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the first broker; the others take the next ones. "
            "Default: 9092 for one broker if it is free, else any free ports."
        ),
    ] = None,
    directory: Annotated[
        Path | None, typer.Option(help="Directory to keep data in. Default: a temporary one, removed at the end.")
    ] = None,
    profile: Annotated[
        Profile, typer.Option(help="dev: quick start, little memory; bench: more throughput once warm.")
    ] = Profile.DEV,
) -> None:
    """Run Kafka until Ctrl-C; prints its address when it serves clients."""
    with _plain_errors(), _ended_by_signals(), _kafka(brokers, port, directory, profile) as kafka:
        typer.echo(kafka.bootstrap)
        typer.echo(f"export SAGA_KAFKA_BOOTSTRAP={kafka.bootstrap}")
        _say("Kafka runs; end it with Ctrl-C")
        while True:
            kafka.check_alive()
            time.sleep(_WATCH_PAUSE)


@app.command()
def fetch() -> None:
    """Install Kafka without starting it; prints the directory of the installation."""
    with _plain_errors(), _ended_by_signals():
        typer.echo(install(_say).home)


def _kafka(brokers: int, port: int | None, directory: Path | None, profile: Profile) -> LocalKafka:
    ports: Sequence[int] = [_USUAL_PORT] if brokers == 1 and is_free(_USUAL_PORT) else []
    if port is not None:
        ports = range(port, port + brokers)
    return LocalKafka(brokers, directory, profile, ports, _say)


def _say(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except DevKafkaError as error:
        _say(f"error: {error}")
        raise typer.Exit(1) from None


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Leaves the block at the first SIGINT, SIGTERM or SIGHUP; further ones don't disturb the clean-up."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for each in _END_SIGNALS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {each: signal.signal(each, end) for each in _END_SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        _say("Ended")
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
