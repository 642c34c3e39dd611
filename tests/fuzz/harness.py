"""A processor on real stores, with sagas in every state, and what becomes of one record there."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.engine.processor import Record, SagaProcessor
from app.engine.runtime.batch import KeyState
from app.engine.state.admission import AdmissionControl
from app.engine.state.store import Document, PartitionStore
from app.saga.definition import Saga
from app.saga.state import Progress
from app.saga.versions import Versions
from app.wire.partition import partition_of
from app.wire.topics import Topics
from app.wire.writer import OutputRecord
from tests.fuzz.sagas import (
    NOW,
    PARTITIONS,
    InputMessage,
    order_message,
    replies,
    requests_and_operations,
    sagas_in_every_state,
    with_order_id,
)

LIMIT = 1000
UNKNOWN_ORDER = "nobody"
"""The id of an order that was never placed."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one record: the saga of its key before it, the outputs, and the changelog records."""

    topic: str
    record: Record
    before: Progress | None
    outs: list[OutputRecord]
    documents: list[Document]
    admission_touched: bool


class Harness:
    """The partitions of one saga definition, with their stores on disk; `sagas` are the stored ones by order id."""

    def __init__(self, saga: Saga, folder: Path, kind: type[SagaProcessor] = SagaProcessor) -> None:
        self.saga = saga
        self.topics = Topics(saga)
        self.inputs = tuple(topic.name for topic in self.topics.inputs)
        self.processor = kind(Versions((saga,)), PARTITIONS)
        self._changed_keys: set[tuple[int, bytes]] = set()
        self._resources = ExitStack()
        self._stores = [PartitionStore(folder / str(n), "changelog", 1000, LIMIT) for n in range(PARTITIONS)]
        self.sagas = dict(_with_ids(sagas_in_every_state(saga)))
        for order_id, progress in self.sagas.items():
            key = order_id.encode()
            self._stores[partition_of(key, PARTITIONS)].set(key, progress)
        for store in self._stores:
            self._resources.callback(store.close)
            store.save(store.take_changes(), 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._resources.close()

    def process(self, topic: str, record: Record) -> Result:
        """Processes a record; the stores keep its changes until `reset`."""
        store = self._stores[record.origin.partition]
        admission = store.admission = AdmissionControl(LIMIT, store.index.counts.in_flight, store.index.counts.queued)
        key = record.key or b""
        before = store.get(key)
        outs = self.processor.on_record(topic, record, KeyState(store, key), NOW)
        documents = store.take_changes().documents
        self._changed_keys |= {(record.origin.partition, key) for key, _ in documents}
        return Result(topic, record, before, outs, documents, bool(admission.windows()))

    def messages_for(self, order_id: str) -> list[InputMessage]:
        """All valid messages for an order in the state of its saga."""
        awaited = replies(self.saga, order_id, self.sagas[order_id]) if order_id in self.sagas else ()
        return [order_message(), *requests_and_operations(), *awaited]

    def reset(self) -> None:
        """Restores all changed sagas."""
        for number, key in self._changed_keys:
            owner = partition_of(key, PARTITIONS)
            self._stores[number].set(key, self.sagas.get(key.decode()) if number == owner else None)
            self._stores[number].take_changes()
        self._changed_keys.clear()


def _with_ids(sagas: Iterable[Progress]) -> Iterator[tuple[str, Progress]]:
    for index, progress in enumerate(sagas):
        order_id = f"s-{index}"
        yield order_id, with_order_id(progress, order_id)
