"""How a pod's sagas stand, told on another thread than the one that has them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.engine.store import PartitionStore


@dataclass(frozen=True, slots=True)
class Standing:
    """The sagas of one partition: under way by definition, ended and remembered, waiting for a person; and by step the
    commands outstanding, the sagas that wait for room, and how many commands the participant bears where it was in
    trouble; when the next is due (ms since 1970); and the bytes on disk."""

    live: Mapping[str, int]
    ended: int
    stuck: int
    outstanding: Mapping[str, int]
    waiting: Mapping[str, int]
    room: Mapping[str, int]
    due_ms: int | None
    bytes: int


def standing(store: PartitionStore) -> Standing:
    """How the sagas of a partition stand now."""
    census = store.index.census
    return Standing(
        live=dict(census.live),
        ended=census.ended,
        stuck=census.stuck,
        outstanding=dict(census.asked),
        waiting=dict(census.waiting),
        room=store.gate.sizes(),
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
