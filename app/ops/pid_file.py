"""Which process is the pod of these settings: a file in the state folder, for `saga leave`."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.ops.errors import CommandFailed
from app.ops.settings import Settings

_PAUSE_SECONDS = 0.05


def pid_file(settings: Settings) -> Path:
    """Where the pod with this instance id notes its process."""
    return settings.state_dir / settings.group_id / f"{settings.instance_id}.pid"


@contextmanager
def pid_noted(file: Path) -> Iterator[None]:
    """Notes this process while the block runs."""
    file.write_text(f"{os.getpid()}\n", "ascii")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def leave(file: Path, seconds: float) -> None:
    """Tells the noted process to leave its group and to stop; waits until it has. Raises CommandFailed."""
    pid = _noted(file)
    try:
        os.kill(pid, signal.SIGUSR1)
    except ProcessLookupError:
        file.unlink(missing_ok=True)
        raise CommandFailed(f"no pod of these settings runs here: process {pid} of {file} has ended") from None
    end = time.monotonic() + seconds
    while file.exists():
        if time.monotonic() > end:
            raise CommandFailed(f"the pod (process {pid}) did not stop within {seconds:.0f} s: see its log")
        time.sleep(_PAUSE_SECONDS)


def _noted(file: Path) -> int:
    try:
        return int(file.read_text("ascii"))
    except FileNotFoundError:
        raise CommandFailed(
            f"no pod of these settings runs here: there is no {file}; set SAGA_STATE_DIR and SAGA_INSTANCE_ID as for it"
        ) from None
