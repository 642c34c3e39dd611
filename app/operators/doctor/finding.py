"""One line of the doctor's answer."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How bad a finding is; UNKNOWN is a check that could not be made."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    ERROR = "error"


FINE, LOOK, ACT = 0, 1, 2
"""Exit codes: all is fine; something passes by itself or needs a look; a person must change something."""
_EXIT = {Level.OK: FINE, Level.UNKNOWN: FINE, Level.WARNING: LOOK, Level.ERROR: ACT}


@dataclass(frozen=True, slots=True)
class Finding:
    """A fact, and what to do about it. An error that `passes` may end without anybody's doing."""

    check: str
    level: Level
    fact: str
    remedy: str = ""
    passes: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of this finding alone."""
        return LOOK if self.passes else _EXIT[self.level]

    def document(self) -> dict[str, Any]:
        """The finding as members of a JSON object."""
        return {**asdict(self), "level": self.level.value}


def ok(check: str, fact: str) -> Finding:
    """All is as it should be."""
    return Finding(check, Level.OK, fact)


def unknown(check: str, fact: str) -> Finding:
    """This can't be found out; the fact says why."""
    return Finding(check, Level.UNKNOWN, fact)


def warning(check: str, fact: str, remedy: str) -> Finding:
    """Something passes by itself, or needs a look."""
    return Finding(check, Level.WARNING, fact, remedy)


def error(check: str, fact: str, remedy: str = "", *, passes: bool = False) -> Finding:
    """Something doesn't work. A sentence that has the remedy in it, after a colon or semicolon, needs no other."""
    return Finding(check, Level.ERROR, fact, remedy, passes)


def exit_code(findings: Iterable[Finding]) -> int:
    """The exit code of the worst finding."""
    return max((finding.exit_code for finding in findings), default=FINE)
