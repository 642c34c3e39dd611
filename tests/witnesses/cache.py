"""What the witnesses need beyond the product, made once and kept in the user's cache."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path


def place_of(name: str, sources: Iterable[Path]) -> Path:
    """Where the thing made of these sources is kept; the path changes when a source does."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12]
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base).absolute() / "order-saga" / f"witness-{name}-{digest}"


def cached(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The file or folder of the cache. If it is missing, `make` creates it under the given path, one run at a time."""
    place = place_of(name, sources)
    partial = place.with_name(place.name + ".partial")
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.with_name(place.name + ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            _remove(partial)
            make(partial)
            partial.rename(place)
    return place


def _remove(leftover: Path) -> None:
    if leftover.is_dir():
        shutil.rmtree(leftover)
    leftover.unlink(missing_ok=True)
