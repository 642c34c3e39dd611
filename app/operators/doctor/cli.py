"""`saga doctor`: what is wrong, and what to do."""

import sys
from collections.abc import Callable, Iterator
from typing import Annotated

import typer
from rich.console import Console

from app.operators.brokers import Deadline
from app.operators.doctor import doctor_output
from app.operators.doctor.checks import EngineChecks, all_findings
from app.operators.doctor.finding import Finding, error, exit_code
from app.operators.options import saga_of
from app.ops import settings
from app.wire.topics import Topics

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Timeout = Annotated[float, typer.Option(min=2, max=600, help="Seconds within which all checks end.")]


def doctor(engine: EngineChecks) -> Callable[..., None]:
    """The command; `engine` are the checks that a pod makes when it starts."""

    def doctor(context: typer.Context, as_json: AsJson = False, timeout: Timeout = 20) -> None:
        """Say what is wrong, and what to do.

        Run it with a pod's settings. It changes nothing.

        Exit code 0: all is fine.

        Exit code 1: something is wrong now that passes by itself, or needs a look.

        Exit code 2: a person must change something.
        """
        findings: list[Finding] = []
        tell = _silently if as_json else _printer()
        for finding in _findings(context, engine, Deadline(timeout)):
            findings.append(finding)
            tell(finding)
        typer.echo(doctor_output.document(findings) if as_json else doctor_output.ending(findings))
        raise typer.Exit(exit_code(findings))

    return doctor


def _findings(context: typer.Context, engine: EngineChecks, deadline: Deadline) -> Iterator[Finding]:
    try:
        loaded = settings.load()
        yield from all_findings(loaded, Topics(saga_of(context), loaded.topic_prefix), engine, deadline)
    except settings.WrongSetting as wrong:
        yield error("settings", str(wrong))


def _printer() -> Callable[[Finding], None]:
    """Prints each finding as soon as it is there."""
    if not sys.stdout.isatty():
        return lambda finding: typer.echo(doctor_output.line(finding))
    console = Console(highlight=False)
    return lambda finding: doctor_output.print_finding(finding, console)


def _silently(_: Finding) -> None:
    """JSON is printed as a whole."""
