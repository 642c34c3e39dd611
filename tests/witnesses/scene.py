"""A pod, sample participants and witnesses on a real broker, and orders in partitions of the test's choice."""

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread

import orjson
from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec

from app.demo.children import Child
from app.wire.partition import partition_of
from app.wire.topics import OUTCOMES, REQUESTS, TopicPartitionKey
from tests.broker.pods import SAGA, Site, placed, said
from tests.devkafka.support import LIMIT, until
from tests.witnesses.strangers import WRITTEN, Stranger
from tests.witnesses.table import Table
from tests.witnesses.witness import Witness

PARTITIONS = 2
BUSY, IDLE = 0, 1
REPLIES = "payment.replies"
_BUSY_PAUSE = 0.05  # seconds between two orders: 20 a second
_KILLED_TIMEOUT_MS = 1000
_FINAL = {"order.completed", "order.rejected"}


@dataclass
class Scene:
    """`port` is that of the pod's metrics. Each partition has an ended order, for late replies."""

    at: Site
    pod: Child
    port: int
    witnesses: Sequence[Witness]
    table: Table
    stranger: Stranger
    ended: dict[int, str] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=count)

    def inputs(self, *partitions: int) -> list[TopicPartitionKey]:
        """The input partitions of these numbers, topics with prefix."""
        return [(self.at.topics.full(topic), number) for topic in self.at.topics.inputs for number in partitions]

    def order_of(self, partition: int) -> str:
        """A new order id that belongs to a partition."""
        ids = (f"order-{number}" for number in self._ids)
        return next(id for id in ids if partition_of(id.encode(), PARTITIONS) == partition)

    def complete(self, *partitions: int, written_to: int | None = None) -> None:
        """Places an order of each of the partitions, and awaits their ends; `written_to` is a wrong partition."""
        orders = {self.order_of(number): number for number in partitions}
        for id, number in orders.items():
            self.at.place(id, number if written_to is None else written_to)
        until(lambda: orders.keys() <= self._outcomes(), f"the end of {', '.join(orders)}")
        self.ended |= {number: id for id, number in orders.items()}

    def flood(self, count: int) -> None:
        """Repeats the ended order of the idle partition so many times, and waits until the pod has decided all."""
        id = self.ended[IDLE]
        for number in range(count):
            headers = said("order.place", f"{id}:{number}")
            topic = self.at.topics.full(REQUESTS)
            self.at.producer.produce(topic, placed(id), id.encode(), IDLE, headers=headers)
        assert self.at.producer.flush(LIMIT) == 0
        end = self.ends(REQUESTS.name, IDLE)[1]
        until(lambda: self.at.committed(REQUESTS.name, IDLE) == end, "the repeated orders to be decided")

    def late_reply(self, partition: int = IDLE) -> None:
        """Writes a late reply in a new transaction of the stranger, which stays open."""
        self.stranger.write(self.ended[partition], partition)

    def kill_producer(self, partition: int = IDLE) -> None:
        """Kills a producer in its transaction, and waits until the broker has aborted that."""
        topic = self.at.topics.full(REPLIES)
        options = (self.at.client["bootstrap.servers"], topic, str(_KILLED_TIMEOUT_MS), self.ended[partition])
        name = f"killed-{next(self._ids)}"
        child = self.at.children.add(
            name, [sys.executable, "-m", "tests.witnesses.strangers", *options, str(partition)]
        )
        child.start()
        child.await_log(WRITTEN)
        assert self.unstable(partition) > 0
        child.kill()
        until(lambda: self.unstable(partition) == 0, "the end of the killed producer's transaction")

    def unstable(self, partition: int) -> int:
        """High watermark minus last stable offset of the payment replies, as the broker says."""
        stable, last = self.ends(REPLIES, partition)
        return last - stable

    def ends(self, topic: str, partition: int) -> tuple[int, int]:
        """Last stable offset and high watermark of an input (without prefix), as the broker says."""
        place = TopicPartition(self.at.topics.full(topic), partition)
        admin = self.at.admin
        stable, last = (
            int(admin.list_offsets({place: OffsetSpec.latest()}, isolation_level=level)[place].result(LIMIT).offset)
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        )
        return stable, last

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Places 20 orders a second in the busy partition during the block, and waits until the first has ended."""
        over = Event()
        placing = Thread(target=self._place_until, args=(over,))
        self.complete(BUSY)
        placing.start()
        try:
            yield
        finally:
            over.set()
            placing.join()

    def _place_until(self, over: Event) -> None:
        while not over.wait(_BUSY_PAUSE):
            self.at.place(self.order_of(BUSY), BUSY)

    def _outcomes(self) -> set[str]:
        """The orders that have their final outcome."""
        records = [record for number in range(PARTITIONS) for record in self.at.read(OUTCOMES.name, number)]
        final = [record for record in records if dict(record.headers() or ())["ce_type"].decode() in _FINAL]
        return {orjson.loads(record.value())["order_id"] for record in final}


def start_services(at: Site) -> None:
    """Starts the sample participants."""
    for step in at.topics.saga.steps:
        at.children.service(SAGA, step.name).start()


def now() -> float:
    """Monotonic seconds."""
    return time.monotonic()
