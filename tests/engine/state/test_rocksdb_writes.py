"""Writing to a real RocksDB that can't keep up: the write waits, but not for ever."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from rocksdict import Options, Rdict

from app.engine.state import rocksdb
from app.engine.state.rocksdb import filled, write

_BUFFER_BYTES = 64 << 10


@pytest.fixture
def slow_store(tmp_path: Path) -> Iterator[Rdict]:
    """A store on a disk that takes 0.25 s for each write buffer."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_ratelimiter(4 * _BUFFER_BYTES, 50_000, 10)
    db = Rdict(str(tmp_path / "db"), options)
    yield db
    db.close()


def write_much(db: Rdict) -> int:
    """Writes more than fits into the buffers; returns the number of keys in the store then."""
    chance = random.Random(1)
    for index in range(320):
        write(db, filled([(b"%d" % index, chance.randbytes(1000)), (b"last", b"%d" % index)]))
    return len(list(db.keys()))


def test_a_store_that_stalls_for_too_long_is_reported(slow_store: Rdict, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk RocksDB itself would stall for ever, and the pod would hang silently."""
    monkeypatch.setattr(rocksdb, "_PATIENCE_SECONDS", 0.05)
    with pytest.raises(Exception, match="Write stall"):
        write_much(slow_store)


def test_a_slow_store_is_waited_for(slow_store: Rdict) -> None:
    """Everything is written in the end."""
    assert write_much(slow_store) == 321
