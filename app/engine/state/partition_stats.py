"""Statistics of one partition, read by other threads than the one that changes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.engine.state.store import PartitionStore


@dataclass(frozen=True, slots=True)
class PartitionStats:
    """One partition's sagas. `live` is by definition; `ended` are still retained; `stuck` wait for an operator.

    By step: commands in flight, queued sagas, and admission windows. `due_ms` is the next due time (ms since 1970);
    `bytes` is the size on disk.
    """

    live: Mapping[str, int]
    ended: int
    stuck: int
    in_flight: Mapping[str, int]
    queued: Mapping[str, int]
    windows: Mapping[str, int]
    due_ms: int | None
    bytes: int


def partition_stats(store: PartitionStore) -> PartitionStats:
    """A snapshot; approximate, as it takes no lock."""
    counts = store.index.counts
    return PartitionStats(
        live=dict(counts.live),
        ended=counts.ended,
        stuck=counts.stuck,
        in_flight=dict(counts.in_flight),
        queued=dict(counts.queued),
        windows=store.admission.windows(),
        due_ms=store.due_ms,
        bytes=_size(store.folder),
    )


def _size(folder: Path) -> int:
    size = 0
    for file in folder.glob("*"):
        try:
            size += file.stat().st_size
        except FileNotFoundError:  # RocksDB has just deleted it
            continue
    return size
