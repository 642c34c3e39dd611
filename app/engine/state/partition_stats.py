"""Statistics of one partition, read by other threads than the one that changes it."""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.engine.state.store import PartitionStore


@dataclass(frozen=True, slots=True)
class PartitionStats:
    """One partition's sagas. `live` is by definition; `ended` are still retained; `stuck` wait for an operator.

    By step: commands in flight, queued sagas, admission windows (a step without one may have `limit` commands in
    flight), since when the queue is not empty, since when the oldest saga is stuck. Times are in ms since 1970;
    `due_ms` is the next due time; `bytes` is the size on disk.
    """

    live: Mapping[str, int]
    ended: int
    stuck: int
    in_flight: Mapping[str, int]
    queued: Mapping[str, int]
    windows: Mapping[str, int]
    limit: int
    queued_since: Mapping[str, int]
    stuck_since: Mapping[str, int]
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
        limit=store.admission.limit,
        queued_since=store.admission.queued_since(),
        stuck_since=store.index.stuck_since(),
        due_ms=store.due_ms,
        bytes=_size(store.folder),
    )


def _size(folder: Path) -> int:
    size = 0
    with suppress(FileNotFoundError), os.scandir(folder) as entries:  # the folder may be rebuilt just now
        for entry in entries:
            with suppress(FileNotFoundError):  # RocksDB has just deleted it
                size += entry.stat().st_size
    return size
