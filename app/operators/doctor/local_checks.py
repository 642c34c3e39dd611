"""Checks that need no broker: the settings, and the folder of the local state."""

import difflib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from app.operators.doctor.finding import Finding, error, ok, warning
from app.ops.settings import Settings

_LOW_BYTES, _NO_BYTES = 1 << 30, 100 << 20
_MAKE_ROOM = "make room, or set SAGA_STATE_DIR to a folder with more: a pod ends when its disk is full"
_TIMES = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def settings_findings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """The settings that are not the defaults, and variables that look like settings but are none.

    No setting holds a secret: passwords are in files, and only their paths are shown.
    """
    shown = [f"SAGA_{name.upper()}={getattr(settings, name)}" for name in _changed(settings)]
    yield ok("settings", ", ".join(shown) or "all are the defaults")
    known = {f"SAGA_{name.upper()}" for name in Settings.model_fields}
    for name in sorted(name for name in environment if name.startswith("SAGA_") and name not in known):
        near = difflib.get_close_matches(name, known, 1)
        yield warning("settings", f"{name} is set, but is no setting", f"set {near[0]}" if near else "unset it")


def _changed(settings: Settings) -> list[str]:
    fields = Settings.model_fields.items()
    return [name for name, field in fields if getattr(settings, name) != field.get_default(call_default_factory=True)]


def state_findings(folder: Path) -> Iterator[Finding]:
    """Whether the state folder can be written to, and has space; its size, and when it was written last."""
    if not folder.exists():
        yield from _missing(folder)
        return
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield error("state", f"{folder} is no folder that this user can write to", "correct it, or set SAGA_STATE_DIR")
        return
    free = shutil.disk_usage(folder).free
    fact = f"{folder}: {contents(folder, time.time())}, {size(free)} free"
    yield (
        error("state", fact, _MAKE_ROOM)
        if free < _NO_BYTES
        else (warning("state", fact, _MAKE_ROOM) if free < _LOW_BYTES else ok("state", fact))
    )


def _missing(folder: Path) -> Iterator[Finding]:
    parent = next(parent for parent in folder.absolute().parents if parent.exists())
    if os.access(parent, os.W_OK | os.X_OK):
        yield ok("state", f"{folder} doesn't exist: no pod has run here; the next one creates it")
    else:
        yield error("state", f"{folder} doesn't exist, and this user can't create it", "set SAGA_STATE_DIR")


def contents(folder: Path, now: float) -> str:
    """The size of the files in the folder, and the age of the latest; `now` is in seconds since 1970."""
    files = list(_stats(folder))
    if not files:
        return "empty"
    latest = max(stat.st_mtime for stat in files)
    return f"{size(sum(stat.st_size for stat in files))}, written {age(max(0.0, now - latest))} ago"


def _stats(folder: Path) -> Iterable[os.stat_result]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.stat()
        except OSError:  # a running pod deletes files of its store at any time
            continue


def size(count: float) -> str:
    """A number of bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def age(seconds: float) -> str:
    """A number of seconds for people, in the largest unit that fits."""
    for unit, length in _TIMES:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.1f} s"
