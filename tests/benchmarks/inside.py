"""The pod without Kafka: the engine's loop and the topology, between a consumer and lanes that only take note.

What it does is the same every time, so that it can be counted; and it is what there is to profile.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from app.engine.application import SagaApplication
from app.engine.clients import Clients
from app.engine.horizon import Horizon
from app.engine.loop import Loop
from app.engine.ownership import ROOM, Policy
from app.engine.store import PartitionStore
from app.engine.turn import Turns
from app.saga.versions import Versions
from app.wire.envelope import Headers
from app.wire.partition import partition_of
from app.wire.topics import Topics
from tests.benchmarks.messages import Orders, Record, phases
from tests.benchmarks.site import PARTITIONS
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

_ROOM, _LIMIT = ROOM // PARTITIONS, 1_000_000
_AT_ONCE = 4_000
_START_MS = 1_800_000_000_000
Written = tuple[str, bytes, bytes | None, Headers]
"""Topic, key, value and headers."""


class _Message:
    """A record as the client gives it."""

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
    """Gives what it was fed."""

    def __init__(self) -> None:
        self._waiting: list[_Message] = []
        self._next: dict[tuple[str, int], int] = {}

    def feed(self, records: Iterable[Record]) -> None:
        for record in records:
            place = (record.topic, partition_of(record.key, PARTITIONS))
            offset = self._next.get(place, 0)
            self._next[place] = offset + 1
            self._waiting.append(_Message(record, place[1], offset))

    def poll(self, _: float) -> _Message | None:
        return next(iter(self.consume(1, 0)), None)

    def consume(self, most: int, _: float) -> list[_Message]:
        taken, self._waiting = self._waiting[:most], self._waiting[most:]
        return taken


class _Owner:
    """Owns all partitions, for ever."""

    def __init__(self, folder: Path, topics: Topics) -> None:
        self.epoch, self.group, self.mark, self.restoring = 1, None, "", False
        self.positions = {(topics.full(topic), number): 0 for topic in topics.inputs for number in range(PARTITIONS)}
        self.stores = {number: PartitionStore(folder / str(number), "", _ROOM, _LIMIT) for number in range(PARTITIONS)}


class _Lane:
    """Keeps what is written; a commit is done at once."""

    idle = True

    def __init__(self) -> None:
        self.written: list[Written] = []

    def begin(self) -> None:
        """Nothing to do."""

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


class Inside:
    """A pod that takes records as soon as it is told to, and decides all of them at the same time."""

    def __init__(self, folder: Path) -> None:
        versions = Versions((ORDER,))
        clients = Clients("127.0.0.1:1", "group", "pod", folder / "unused")
        self._topics = Topics(versions, "")
        self._app = SagaApplication(clients, self._topics, Policy(versions.definitions, _LIMIT))
        turns = Turns(versions, PARTITIONS)
        orchestrate(self._app, self._topics, turns, self._app.clock)
        self._consumer, self.lane, self.owner = _Consumer(), _Lane(), _Owner(folder, self._topics)
        self._executors = self._app._dataframe_registry.compose_all()
        self._loop = Loop(
            cast("Any", self._consumer),
            cast("Any", self.owner),
            [cast("Any", self.lane)],
            self._app._context,
            turns,
            lambda: _START_MS,
            Horizon(clients.plain(), 1),
            _AT_ONCE,
        )

    def feed(self, records: Iterable[Record]) -> None:
        """There are these to be read."""
        self._consumer.feed(records)

    def drain(self) -> None:
        """Takes all that is there."""
        while self._consumer._waiting or self._loop._inbox.waiting:
            self._loop.turn(self._executors)

    def take_written(self) -> list[Written]:
        """What was written since the last time."""
        written, self.lane.written = self.lane.written, []
        return written

    def close(self) -> None:
        """Lets go of the state."""
        for store in self.owner.stores.values():
            store.close()


@contextmanager
def inside(folder: Path) -> Iterator[Inside]:
    """A pod, closed with the block."""
    pod = Inside(folder)
    try:
        yield pod
    finally:
        pod.close()


def load(run: str, sagas: int) -> list[list[Record]]:
    """So many sagas, of which a tenth is declined: the records of each phase."""
    return [phase.records for phase in phases(Orders(run, 10), sagas)]
