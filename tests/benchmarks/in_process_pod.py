"""A pod without Kafka: the engine's loop and the topology between a consumer and a producer in memory.

It does the same work every time, so that the work can be counted and profiled.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from app.engine.application import SagaApplication
from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.kafka.client_config import ClientConfig
from app.engine.meters import Meters
from app.engine.policy import CACHE_BYTES, Policy
from app.engine.processor import SagaProcessor
from app.engine.runtime.loop import Loop
from app.engine.runtime.wakeups import Wakeups
from app.engine.state.store import PartitionStore
from app.saga.versions import Versions
from app.wire.envelope import Headers
from app.wire.partition import partition_of
from app.wire.topics import Topics
from tests.benchmarks.messages import Orders, Record, phases
from tests.benchmarks.workspace import PARTITIONS
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

_CACHE_BYTES, _STEP_LIMIT = CACHE_BYTES // PARTITIONS, 1_000_000
_BATCH = 4_000
_START_MS = 1_800_000_000_000
Written = tuple[str, bytes, bytes | None, Headers]
"""Topic, key, value and headers."""


class _Message:
    """A record as the client library returns it."""

    __slots__ = ("_offset", "_partition", "_record")

    def __init__(self, record: Record, partition: int, offset: int) -> None:
        self._record, self._partition, self._offset = record, partition, offset

    def __len__(self) -> int:
        return len(self._record.value)

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self._record.topic

    def partition(self) -> int:
        return self._partition

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 1, _START_MS

    def key(self) -> bytes:
        return self._record.key

    def value(self) -> bytes:
        return self._record.value

    def headers(self) -> list[tuple[str, bytes]]:
        return self._record.headers.copy()


class _Consumer:
    """Returns the records that it was fed."""

    def __init__(self) -> None:
        self._waiting: list[_Message] = []
        self._next: dict[tuple[str, int], int] = {}

    def feed(self, records: Iterable[Record]) -> None:
        for record in records:
            partition = (record.topic, partition_of(record.key, PARTITIONS))
            offset = self._next.get(partition, 0)
            self._next[partition] = offset + 1
            self._waiting.append(_Message(record, partition[1], offset))

    def poll(self, _: float) -> _Message | None:
        return next(iter(self.consume(1, 0)), None)

    def consume(self, most: int, _: float) -> list[_Message]:
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken


class _Owner:
    """Owns all partitions for ever."""

    def __init__(self, folder: Path, topics: Topics) -> None:
        self.meters = Meters()
        self.rebalances, self.group, self.commit_metadata, self.restoring = 1, None, "", False
        inputs = [topics.full(topic) for topic in topics.inputs]
        self.tasks = {
            number: PartitionTask(
                number, PartitionStore(folder / str(number), "", _CACHE_BYTES, _STEP_LIMIT), dict.fromkeys(inputs, 0)
            )
            for number in range(PARTITIONS)
        }


class _Producer:
    """Keeps the records; a commit is done at once."""

    idle = True

    def __init__(self) -> None:
        self.written: list[Written] = []

    def begin(self) -> None:
        """Does nothing."""

    def produce(
        self,
        topic: str,
        key: bytes,
        value: bytes | None,
        headers: Headers,
        partition: int,
        delivered: Callable[[object, object], None] | None = None,
    ) -> None:
        self.written.append((topic, key, value, headers))
        if delivered is not None:
            delivered(None, _Message(Record(topic, key, b"", []), partition, len(self.written)))

    def commit(self, _: object, __: object, committed: Callable[[], None]) -> None:
        committed()


class InProcessPod:
    """A pod that decides the records it is fed, all at the same virtual time."""

    def __init__(self, folder: Path) -> None:
        versions = Versions((ORDER,))
        clients = ClientConfig("127.0.0.1:1", "group", "pod", folder / "unused")
        self._topics = Topics(versions, "")
        self._app = SagaApplication(clients, self._topics, Policy(versions.definitions, _STEP_LIMIT))
        processor = SagaProcessor(versions, PARTITIONS)
        orchestrate(self._app, self._topics, processor)
        self._consumer, self.producer, self.owner = _Consumer(), _Producer(), _Owner(folder, self._topics)
        self._executors = self._app._dataframe_registry.compose_all()
        self._loop = Loop(
            cast("Any", self._consumer),
            cast("Any", self.owner),
            [cast("Any", self.producer)],
            self._app._context,
            Wakeups(
                cast("Any", self.owner),
                EndOffsetRequests(clients.common(), 1),
                processor.on_timer,
                processor.on_capacity,
            ),
            lambda: _START_MS,
            _BATCH,
        )

    def feed(self, records: Iterable[Record]) -> None:
        """Adds records to be read."""
        self._consumer.feed(records)

    def drain(self) -> None:
        """Runs the loop until all records are decided."""
        while self._consumer._waiting or self._loop._inbox.waiting:
            self._loop.run_once(self._executors)

    def take_written(self) -> list[Written]:
        """The records written since the last call."""
        written, self.producer.written = self.producer.written, []
        return written

    def close(self) -> None:
        """Closes the stores."""
        for task in self.owner.tasks.values():
            task.store.close()


@contextmanager
def in_process_pod(folder: Path) -> Iterator[InProcessPod]:
    """A pod that is closed when the block ends."""
    pod = InProcessPod(folder)
    try:
        yield pod
    finally:
        pod.close()


def load(run: str, sagas: int) -> list[list[Record]]:
    """The records of each phase of this many sagas, a tenth of which is declined."""
    return [phase.records for phase in phases(Orders(run, 10), sagas)]
