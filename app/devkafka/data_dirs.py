"""A cluster's directory, locked by one process at a time; temporary ones of killed processes are removed at a start."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from app.devkafka.errors import DevKafkaError

_PREFIX = "saga-kafka-"


@contextmanager
def kept_directory(directory: Path) -> Iterator[Path]:
    """The directory, made if it is missing and locked during the block; DevKafkaError if another Kafka has the lock."""
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory) as locked:
        if not locked:
            raise DevKafkaError(f"{directory} is in use by another Kafka: end that one, or choose another directory.")
        yield directory.absolute()


@contextmanager
def temporary_directory() -> Iterator[Path]:
    """A new directory, removed at the end; those that killed processes left are removed first."""
    for leftover in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _locked(leftover) as locked:  # another user's, or just removed
            if locked:
                shutil.rmtree(leftover, ignore_errors=True)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _locked(directory) as locked:
        if locked and directory.exists():
            owner = os.getpid()
            try:
                yield directory
            finally:
                if os.getpid() == owner:  # not in a fork of the owner
                    shutil.rmtree(directory, ignore_errors=True)
            return
    # Between mkdtemp and the lock another start took the directory for a leftover.
    with temporary_directory() as other:
        yield other


@contextmanager
def _locked(directory: Path) -> Iterator[bool]:
    """Whether the directory could be locked. The lock ends with the block, or with this process, however that ends."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
