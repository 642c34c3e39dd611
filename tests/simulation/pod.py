"""A pod: the engine's own loop, duties, batches and stores, between clients of the simulated Kafka."""

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

from app.engine import horizon as engine_horizon
from app.engine import loop as engine_loop
from app.engine.batch import BatchContext
from app.engine.clock import SteadyClock
from app.engine.horizon import Horizon
from app.engine.loop import Executor, Loop
from app.engine.offsets import NONE_COMMITTED, starts
from app.engine.restore import Restore
from app.engine.store import PartitionStore
from app.engine.turn import Record, Turns
from app.wire.topics import EVENTS
from app.wire.writer import Origin
from tests.simulation.kafka import Changelog, Kafka, Life, Reader
from tests.simulation.lane import Fuse, Lane
from tests.simulation.plan import CHANGELOG_ID, Plan

_PATIENCE = 60.0  # seconds of real time, for what is there at once
_LANES = 4


@dataclass(slots=True)
class Time:
    """The true time, and how far all clocks have been put forward since (ms)."""

    now_ms: int
    jumped_ms: int = 0

    def now(self) -> int:
        """The true time, which goes on whatever clocks say."""
        return self.now_ms

    @contextmanager
    def ruling(self) -> Iterator[None]:
        """The engine's loop knows no other time; nor does it tidy up the memory of this process."""
        told = SimpleNamespace(monotonic=lambda: self.now_ms / 1000)
        idle = SimpleNamespace(collect=lambda *_: 0)
        with patch.object(engine_loop, "time", told), patch.object(engine_loop, "gc", idle):
            yield


class Owner:
    """Owns all partitions: what the engine's loop must know of who owns what."""

    def __init__(self, kafka: Kafka, plan: Plan, folder: Path, chance: Random) -> None:
        numbers = range(kafka.partitions)
        limits = kafka.bounds()
        committed = {place: kafka.committed.get(place, NONE_COMMITTED) for place in kafka.inputs}
        self.epoch = 1
        self.group = None
        self.mark = ""
        events = kafka.topics.full(EVENTS)

        def decided(number: int) -> bool:
            return any(True for _ in kafka.logs[events, number].read())

        self.positions = starts(committed, limits, kafka.changelog, events, decided)
        kafka.committed.update(self.positions)
        self.stores = {
            number: PartitionStore(folder / str(number), CHANGELOG_ID, 1_000 * plan.cached, plan.limit)
            for number in numbers
        }
        ends = {number: limits[kafka.changelog, number] for number in numbers}
        for number, store in self.stores.items():
            if store.offset > ends[number][1]:
                raise AssertionError(f"the store of partition {number} is ahead of the changelog")
        self._restore: _Restoring | None = _Restoring(kafka, self.stores, ends, chance)

    @property
    def restoring(self) -> bool:
        """Whether nothing may be read yet."""
        return self._restore is not None

    def go_on_restoring(self) -> None:
        """One chunk more."""
        if self._restore is not None and self._restore.step():
            self._restore = None


class _Restoring(Restore):
    """The engine's restoring, with a reader of the simulated changelog."""

    def __init__(
        self, kafka: Kafka, stores: dict[int, PartitionStore], ends: dict[int, tuple[int, int]], chance: Random
    ) -> None:
        self._kafka = kafka
        self._chance = chance
        super().__init__({}, kafka.changelog, stores, ends, _PATIENCE)

    def _reader(self, _: dict[str, Any], __: dict[int, tuple[int, int]]) -> Consumer:
        at = {(self._kafka.changelog, number): self._stores[number].offset for number in sorted(self._open)}
        return cast("Consumer", Changelog(self._kafka, at, self._chance, (10, 10_000)))


class _Admin:
    """Says where partitions end; an answer may take some turns."""

    def __init__(self, kafka: Kafka, chance: Random) -> None:
        self._kafka = kafka
        self._chance = chance

    def list_offsets(self, asked: Mapping[TopicPartition, Any], **_: Any) -> dict[TopicPartition, "_Answer"]:
        """Where they end now."""
        logs = self._kafka.logs
        return {at: _Answer(len(logs[at.topic, at.partition].records), self._chance) for at in asked}


class _Answer:
    __slots__ = ("_chance", "offset")

    def __init__(self, offset: int, chance: Random) -> None:
        self.offset = offset
        self._chance = chance

    def done(self) -> bool:
        return self._chance.random() < 0.9

    def result(self) -> "_Answer":
        return self


class Pod:
    """One life of a pod, from taking over all partitions to its end."""

    def __init__(
        self, kafka: Kafka, plan: Plan, folder: Path, life: Life, time: Time, fuse: Fuse, chance: Random
    ) -> None:
        self.life = life
        self.folder = folder
        self.clock = SteadyClock(
            lambda: (time.now_ms + time.jumped_ms + life.skew_ms) * 1_000_000, lambda: time.now_ms * 1_000_000
        )
        self.owner = Owner(kafka, plan, folder, chance)
        self._reader = Reader(kafka, self.owner.positions, chance, plan.fetch)
        self._lanes = [Lane(kafka, life, fuse, chance) for _ in range(_LANES)]
        turns = Turns(plan.versions, kafka.partitions)
        context = BatchContext(kafka.topics.full, kafka.changelog)
        self._executors = {
            kafka.topics.full(topic): _executor(topic.name, turns, context) for topic in kafka.topics.inputs
        }
        self._loop = Loop(
            cast("Any", self._reader),
            cast("Any", self.owner),
            cast("Any", self._lanes),
            context,
            turns,
            self.clock,
            _horizon(kafka, chance),
            plan.batch,
        )

    @property
    def stores(self) -> dict[int, PartitionStore]:
        """The state of each partition."""
        return self.owner.stores

    @property
    def idle(self) -> bool:
        """Whether it has nothing to do until something comes, or the time does."""
        loop = self._loop
        return not (self.owner.restoring or loop._held or loop._inbox.waiting or self._reader.behind)

    def turn(self) -> None:
        """One turn of the loop."""
        self._loop.turn(self._executors)

    def next_ms(self) -> int:
        """In how many ms it has something to do, if nothing comes."""
        return max(0, (self._loop._duties.next_ms() or 0) - self.clock())

    def leave(self) -> None:
        """Ends as a pod does that is told to."""
        self._loop.finish()
        self._close()

    def die(self) -> None:
        """Ends in the middle of whatever it was doing."""
        for lane in self._lanes:
            lane.abandon()
        self._close()

    def _close(self) -> None:
        for store in self.stores.values():
            store.close()


def _horizon(kafka: Kafka, chance: Random) -> Horizon:
    """The engine's horizon, which asks the simulated brokers."""
    with patch.object(engine_horizon, "AdminClient", lambda _: _Admin(kafka, chance)):
        return Horizon({}, _PATIENCE)


def _executor(topic: str, turns: Turns, context: BatchContext) -> Executor:
    """What the topology does with each record of a topic."""

    def run(value: Any, key: Any, timestamp: int, headers: Any) -> None:
        at = message_context()
        record = Record(Origin(at.topic, at.partition, at.offset, timestamp), key, value, headers)
        state = context.state(key)
        for out in turns.take(topic, record, state, context.now_ms):
            context.send(out)

    return run
