"""A pod's partitions with sagas everywhere, and what becomes of one record there."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.engine.batch import KeyState
from app.engine.gate import Gate
from app.engine.store import Document, PartitionStore
from app.engine.turn import Record, Turns
from app.saga.definition import Saga
from app.saga.state import Progress
from app.saga.versions import Versions
from app.wire.partition import partition_of
from app.wire.topics import Topics
from app.wire.writer import Out
from tests.fuzz.sagas import NOW, PARTITIONS, Said, everywhere, named, placed, replies, wishes

LIMIT = 1000
NOBODY = "nobody"
"""The id of an order that nobody placed."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A record, the saga of its key before it came, and all that came of it."""

    topic: str
    record: Record
    before: Progress | None
    outs: list[Out]
    documents: list[Document]
    gates_touched: bool


class World:
    """The partitions of one saga's sagas, on a real disk."""

    def __init__(self, saga: Saga, folder: Path, kind: type[Turns] = Turns) -> None:
        self.saga = saga
        self.topics = Topics(saga)
        self.inputs = tuple(topic.name for topic in self.topics.inputs)
        self.turns = kind(Versions((saga,)), PARTITIONS)
        self._changed: set[tuple[int, bytes]] = set()
        self._open = ExitStack()
        self._stores = [PartitionStore(folder / str(n), "changelog", 1000, LIMIT) for n in range(PARTITIONS)]
        self.sagas = dict(_names(everywhere(saga)))
        for order_id, progress in self.sagas.items():
            key = order_id.encode()
            self._stores[partition_of(key, PARTITIONS)].set(key, progress)
        for store in self._stores:
            self._open.callback(store.close)
            store.save(store.changes(), 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def take(self, topic: str, record: Record) -> Taken:
        """What a record leads to."""
        store = self._stores[record.origin.partition]
        gate = store.gate = Gate(LIMIT, store.index.census.asked, store.index.census.waiting)
        key = record.key or b""
        before = store.get(key)
        outs = self.turns.take(topic, record, KeyState(store, key), NOW)
        documents = store.changes().documents
        self._changed |= {(record.origin.partition, key) for key, _ in documents}
        return Taken(topic, record, before, outs, documents, bool(gate.sizes()))

    def told(self, order_id: str) -> list[Said]:
        """All good messages that are about an order's saga where it is."""
        progress = self.sagas.get(order_id)
        return [placed(), *wishes(), *(replies(self.saga, order_id, progress) if progress is not None else ())]

    def reset(self) -> None:
        """Puts all sagas back where they were first."""
        for number, key in self._changed:
            home = partition_of(key, PARTITIONS)
            self._stores[number].set(key, self.sagas.get(key.decode()) if number == home else None)
            self._stores[number].changes()
        self._changed.clear()


def _names(sagas: Iterable[Progress]) -> Iterator[tuple[str, Progress]]:
    for index, progress in enumerate(sagas):
        order_id = f"s-{index}"
        yield order_id, named(progress, order_id)
