"""A pod: the engine's own loop, batches, wakeups and stores, between simulated clients."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from confluent_kafka import Consumer, TopicPartition
from quixstreams import message_context

from app.engine.assignment import read_frontier as engine_frontier
from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.assignment.start_offsets import NONE_COMMITTED, start_positions
from app.engine.meters import Meters
from app.engine.processor import Record, SagaProcessor
from app.engine.runtime import loop as engine_loop
from app.engine.runtime.batch import BatchContext
from app.engine.runtime.clock import SteadyClock
from app.engine.runtime.loop import Executor, Loop
from app.engine.runtime.wakeups import Wakeups
from app.engine.state.changelog_reader import ChangelogReader
from app.engine.state.store import PartitionStore
from app.wire.topics import EVENTS, TopicPartitionKey
from app.wire.writer import Origin
from tests.simulation.kafka import ChangelogConsumer, Incarnation, SimulatedConsumer, SimulatedKafka
from tests.simulation.plan import CHANGELOG_ID, Plan
from tests.simulation.producer import CrashCountdown, SimulatedProducer

_PATIENCE = 60.0  # seconds of real time; in a simulation everything is there at once
_PRODUCERS = 4


@dataclass(slots=True)
class VirtualTime:
    """The true time (ms), and by how much all wall clocks have jumped since (ms)."""

    now_ms: int
    jumped_ms: int = 0

    def now(self) -> int:
        """The true time, which clock jumps do not change."""
        return self.now_ms

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Gives the engine's loop this time, and no garbage collector."""
        clock = SimpleNamespace(monotonic=lambda: self.now_ms / 1000)
        collector = SimpleNamespace(collect=lambda *_: 0)
        with patch.object(engine_loop, "time", clock), patch.object(engine_loop, "gc", collector):
            yield


class SimulatedPartitions:
    """Stands in for the engine's AssignedPartitions: one pod owns all partitions, from its start to its end."""

    def __init__(self, kafka: SimulatedKafka, plan: Plan, folder: Path, rng: Random) -> None:
        numbers = range(kafka.partitions)
        bounds = kafka.bounds()
        committed = {tp: kafka.committed.get(tp, NONE_COMMITTED) for tp in kafka.inputs}
        self.meters = Meters()
        self.rebalances = 1
        self.group = None
        self.commit_metadata = ""
        events = kafka.topics.full(EVENTS)

        def has_events(number: int) -> bool:
            return any(True for _ in kafka.logs[events, number].read())

        self.start = start_positions(committed, bounds, kafka.changelog, events, has_events)
        kafka.committed.update(self.start)
        self.tasks = {
            number: PartitionTask(
                number,
                PartitionStore(folder / str(number), CHANGELOG_ID, 1_000 * plan.cached_sagas, plan.step_limit),
                {topic: offset for (topic, at), offset in self.start.items() if at == number},
            )
            for number in numbers
        }
        ends = {number: bounds[kafka.changelog, number] for number in numbers}
        for number, store in self.stores.items():
            if store.offset > ends[number][1]:
                raise AssertionError(f"the store of partition {number} is ahead of the changelog")
        self._restore: _SimulatedChangelogReader | None = _SimulatedChangelogReader(kafka, self.stores, ends, rng)

    @property
    def stores(self) -> dict[int, PartitionStore]:
        """The store of each partition."""
        return {number: task.store for number, task in self.tasks.items()}

    def inputs(self) -> list[TopicPartitionKey]:
        """All input partitions."""
        return list(self.start)

    @property
    def restoring(self) -> bool:
        """Whether nothing may be read yet."""
        return self._restore is not None

    def continue_restore(self) -> None:
        """Restores one chunk more."""
        if self._restore is not None and self._restore.step():
            self._restore = None


class _SimulatedChangelogReader(ChangelogReader):
    """The engine's changelog reader, on a simulated consumer."""

    def __init__(
        self, kafka: SimulatedKafka, stores: dict[int, PartitionStore], ends: dict[int, tuple[int, int]], rng: Random
    ) -> None:
        self._kafka = kafka
        self._rng = rng
        super().__init__({}, kafka.changelog, stores, ends, _PATIENCE)

    def _reader(self, _: dict[str, Any], __: dict[int, tuple[int, int]]) -> Consumer:
        at = {(self._kafka.changelog, number): self._stores[number].offset for number in sorted(self._unfinished)}
        return cast("Consumer", ChangelogConsumer(self._kafka, at, self._rng, (10, 10_000)))


class _SimulatedAdmin:
    """An admin client that only gives end offsets; its answers may take some polls."""

    def __init__(self, kafka: SimulatedKafka, rng: Random) -> None:
        self._kafka = kafka
        self._rng = rng

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, "_OffsetFuture"]:
        """The ends at the time of the request."""
        logs = self._kafka.logs
        return {at: _OffsetFuture(len(logs[at.topic, at.partition].records), self._rng) for at in asked}


class _OffsetFuture:
    __slots__ = ("_rng", "offset")

    def __init__(self, offset: int, rng: Random) -> None:
        self.offset = offset
        self._rng = rng

    def done(self) -> bool:
        return self._rng.random() < 0.9

    def result(self) -> "_OffsetFuture":
        return self


class SimulatedPod:
    """One run of a pod's process, from the takeover of all partitions to its end."""

    def __init__(
        self,
        kafka: SimulatedKafka,
        plan: Plan,
        folder: Path,
        incarnation: Incarnation,
        time: VirtualTime,
        countdown: CrashCountdown,
        rng: Random,
    ) -> None:
        self.incarnation = incarnation
        self.folder = folder
        self.clock = SteadyClock(
            lambda: (time.now_ms + time.jumped_ms + incarnation.skew_ms) * 1_000_000, lambda: time.now_ms * 1_000_000
        )
        self.assigned = SimulatedPartitions(kafka, plan, folder, rng)
        self._consumer = SimulatedConsumer(kafka, self.assigned.start, rng, plan.fetch_sizes)
        self._producers = [SimulatedProducer(kafka, incarnation, countdown, rng) for _ in range(_PRODUCERS)]
        processor = SagaProcessor(plan.versions, kafka.partitions, self.assigned.meters)
        context = BatchContext(kafka.topics.full, kafka.changelog)
        self._executors = {
            kafka.topics.full(topic): _executor(topic.name, processor, context) for topic in kafka.topics.inputs
        }
        self._loop = Loop(
            cast("Any", self._consumer),
            cast("Any", self.assigned),
            cast("Any", self._producers),
            context,
            Wakeups(cast("Any", self.assigned), _end_offsets(kafka, rng), processor.on_timer, processor.on_capacity),
            self.clock,
            plan.batch_records,
        )

    @property
    def stores(self) -> dict[int, PartitionStore]:
        """The store of each partition."""
        return self.assigned.stores

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do before a record comes or a time is reached."""
        loop = self._loop
        return not (self.assigned.restoring or loop._committing or loop._inbox.waiting or self._consumer.has_unread)

    def run_once(self) -> None:
        """Runs the engine's loop once."""
        self._loop.run_once(self._executors)

    def next_ms(self) -> int:
        """In how many ms the engine wakes up, if no record comes."""
        return max(0, (self._loop._wakeups.next_ms() or 0) - self.clock())

    def stop(self) -> None:
        """Ends as the engine does when it is told to stop."""
        self._loop.drain()
        self._close()

    def crash(self) -> None:
        """Ends at once; the producers' transactions are left to the brokers."""
        for producer in self._producers:
            producer.crash()
        self._close()

    def _close(self) -> None:
        for store in self.stores.values():
            store.close()


def _end_offsets(kafka: SimulatedKafka, rng: Random) -> EndOffsetRequests:
    """The engine's end offset requests, to the simulated brokers."""
    with patch.object(engine_frontier, "AdminClient", lambda _: _SimulatedAdmin(kafka, rng)):
        return EndOffsetRequests({}, _PATIENCE)


def _executor(topic: str, processor: SagaProcessor, context: BatchContext) -> Executor:
    """What the topology does with a record of this topic."""

    def run(value: Any, key: Any, timestamp: int, headers: Any) -> None:
        at = message_context()
        record = Record(Origin(at.topic, at.partition, at.offset, timestamp), key, value, headers)
        state = context.state(key)
        for out in processor.on_record(topic, record, state, context.now_ms):
            context.send(out)

    return run
