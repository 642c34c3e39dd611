"""Writing to a real RocksDB that can't keep up: waited for, but not for ever."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from app.engine import writes
from app.engine.writes import filled, write

_BUFFER_BYTES = 64 << 10


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Rdict]:
    """A store on a disk that takes a quarter of a second for each of its buffers."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_ratelimiter(4 * _BUFFER_BYTES, 50_000, 10)
    db = Rdict(str(tmp_path / "db"), options)
    yield db
    db.close()


def write_much(db: Rdict) -> int:
    """More than fits into the buffers; returns how many there are then."""
    chance = random.Random(1)
    for index in range(320):
        write(db, filled([(b"%d" % index, chance.randbytes(1000)), (b"last", b"%d" % index)]))
    return len(list(db.keys()))


def test_a_store_that_does_not_go_on_is_told(slow: Rdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk holds writes up without an end: the pod would hang, and say nothing."""
    monkeypatch.setattr(writes, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(Exception, match="Write stall"):
        write_much(slow)


def test_a_store_that_is_slow_is_waited_for(slow: Rdict) -> None:
    """Everything is written in the end."""
    assert write_much(slow) == 321
