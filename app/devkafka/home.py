"""The directory of a cluster: held by one owner at a time. What killed owners leave, the next start removes."""

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
def kept_home(directory: Path) -> Iterator[Path]:
    """The directory, made if it isn't there, and nobody else's meanwhile; DevKafkaError if another Kafka has it."""
    directory.mkdir(parents=True, exist_ok=True)
    with _held(directory) as held:
        if not held:
            raise DevKafkaError(f"{directory} is in use by another Kafka: end that one, or choose another directory.")
        yield directory.absolute()


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A fresh directory, removed at the end; removes first what killed owners have left."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError), _held(left) as free:  # another user's, or just removed
            if free:
                shutil.rmtree(left, ignore_errors=True)
    home = Path(tempfile.mkdtemp(prefix=_PREFIX))
    with _held(home) as held:
        if held and home.exists():
            owner = os.getpid()
            try:
                yield home
            finally:
                if os.getpid() == owner:  # and not a fork of it
                    shutil.rmtree(home, ignore_errors=True)
            return
    # Another start took it for a leftover, in the moment between making and holding it.
    with temporary_home() as other:
        yield other


@contextmanager
def _held(directory: Path) -> Iterator[bool]:
    """Whether the directory's lock could be had; it ends with the block, or with this process, however that ends."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield _lock(descriptor)
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
