"""`saga demo`."""

import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from app.audit.recording import RecordingError
from app.demo.children import ChildFailed
from app.demo.plan import Plan
from app.demo.play import DemoFailed, play
from app.devkafka import DevKafkaError
from app.engine.errors import Stopped
from app.ops.settings import WrongSetting
from app.samples.trouble import Trouble

_FAILED = 1
_INTERRUPTED = 130


def demo(
    context: typer.Context,
    orders: Annotated[int, typer.Option(min=1, help="How many orders are placed.")] = 2000,
    rate: Annotated[float, typer.Option(min=1, help="Orders a second.")] = 100,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders and mishaps.")] = 1,
) -> None:
    """Play the main job on a real Kafka, with a pod killed in the middle, and prove that nothing was lost.

    Kafka is started for you, unless SAGA_KAFKA_BOOTSTRAP says where one is.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    command = [sys.executable, *_how_we_were_called()]
    try:
        bootstrap = os.environ.get("SAGA_KAFKA_BOOTSTRAP")
        proved = play(context.obj, command, Plan(orders=orders, rate=rate, seed=seed), bootstrap, Console())
    except KeyboardInterrupt:
        typer.echo("saga: interrupted; everything that was started has ended", err=True)
        raise typer.Exit(_INTERRUPTED) from None
    except (ChildFailed, DemoFailed, DevKafkaError, RecordingError, Stopped, Trouble, WrongSetting) as error:
        typer.echo(f"saga: {error}", err=True)
        raise typer.Exit(_FAILED) from None
    raise typer.Exit(0 if proved else _FAILED)


def _how_we_were_called() -> list[str]:
    """The arguments after the interpreter that lead to this same command: a module, or a script."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name:
        return ["-m", spec.name.removesuffix(".__main__")]
    return [sys.argv[0]]
