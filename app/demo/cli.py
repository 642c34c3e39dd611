"""The command `saga demo`."""

import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from app.audit.recording.recording import RecordingError
from app.demo.children import ChildFailed
from app.demo.plan import Plan
from app.demo.play import DemoFailed, play
from app.devkafka import DevKafkaError
from app.engine.errors import EngineStopped
from app.ops.errors import CommandFailed
from app.ops.settings import WrongSetting

_FAILED = 1
_INTERRUPTED = 130


def demo(
    context: typer.Context,
    orders: Annotated[int, typer.Option(min=1, help="Orders to place.")] = 2000,
    rate: Annotated[float, typer.Option(min=1, help="Orders per second.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders and faults.")] = 1,
) -> None:
    """Drive orders through a real Kafka, kill a pod in the middle, and prove that nothing was lost.

    A local Kafka is started, unless SAGA_KAFKA_BOOTSTRAP is set.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    command = [sys.executable, *_own_arguments()]
    try:
        bootstrap = os.environ.get("SAGA_KAFKA_BOOTSTRAP")
        proved = play(context.obj, command, Plan(orders=orders, rate=rate, seed=seed), bootstrap, Console())
    except KeyboardInterrupt:
        typer.echo("saga: interrupted; all processes that were started have ended", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    except (
        ChildFailed,
        DemoFailed,
        DevKafkaError,
        RecordingError,
        EngineStopped,
        CommandFailed,
        WrongSetting,
    ) as error:
        typer.echo(f"saga: {error}", err=True)
        raise typer.Exit(_FAILED) from None
    raise typer.Exit(0 if proved else _FAILED)


def _own_arguments() -> list[str]:
    """The arguments of the Python interpreter that run this same command: a module or a script."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name:
        return ["-m", spec.name.removesuffix(".__main__")]
    return [sys.argv[0]]
