"""A program that answers each line on its standard input, and ends with it."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.witnesses.witness import NoAnswer

_END_SECONDS = 10.0


class Conversation:
    """The process of a `with` block. It can't outlive its parent, whose death closes its input."""

    def __init__(self, command: Sequence[str], errors: Path) -> None:
        self._command = list(command)
        self._errors = errors

    def __enter__(self) -> Self:
        with self._errors.open("ab") as errors:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._process.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def ask(self, last: str | None = None) -> list[str]:
        """Asks, and returns the lines of the answer: one line, or all before the line `last`. Raises NoAnswer."""
        asked, answered = self._process.stdin, self._process.stdout
        assert asked is not None
        assert answered is not None
        try:
            asked.write("\n")
            asked.flush()
        except BrokenPipeError:
            raise NoAnswer(self._why_ended()) from None
        lines: list[str] = []
        for line in answered:
            if last is None:
                return [line]
            if line.strip() == last:
                return lines
            lines.append(line.rstrip("\n"))
        raise NoAnswer(self._why_ended())

    def _why_ended(self) -> str:
        return f"{Path(self._command[0]).name} has ended: {self._errors.read_text(errors='replace')[-1000:]}"
