"""Due timers and admissions: which partitions run them, in which order, and how many in one batch."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import ReadFrontier
from app.engine.meters import Meters
from app.engine.processor import SagaProcessor
from app.engine.runtime.batch import Batch, BatchContext
from app.engine.runtime.loop import Loop
from app.engine.runtime.wakeups import Wakeups
from app.engine.state.store import PartitionStore
from app.saga.definition import with_policy
from app.saga.state import InFlight, Progress, Queued, Running, SagaData
from app.saga.versions import Versions
from app.wire.topics import TopicPartitionKey
from topologies.order import ORDER

NOW = 1_700_000_000_000
MOST = 2000
ORDERED = {"lines": [], "customer_id": "c", "total": {"currency": "EUR", "minor": 1}}


class RecordingProducer:
    """Records its transactions, whose commits never end."""

    def __init__(self) -> None:
        self.decisions: list[tuple[int, dict[str, Any]]] = []
        self.commands: list[tuple[int, bytes]] = []
        self.transactions = 0

    def begin(self) -> None:
        """Counts transactions."""
        self.transactions += 1

    def commit(self, *_: object) -> None:
        """The commit stays in flight."""

    def produce(self, topic: str, key: bytes, value: bytes, _: object, partition: int, *__: object) -> None:
        """Records decisions and commands by partition."""
        if topic == "saga.events":
            self.decisions.append((partition, orjson.loads(value)))
        if topic.endswith(".commands"):
            self.commands.append((partition, key))

    @property
    def timed_out(self) -> list[str]:
        """The sagas whose timeouts fired, in order."""
        causes = [(decision["saga_id"], decision["cause"]["timer"]) for _, decision in self.decisions]
        return [saga_id for saga_id, timer in causes if timer.endswith(":timeout")]

    @property
    def timers(self) -> list[str]:
        """The cause of each decision, in order."""
        return [decision["cause"]["timer"] for _, decision in self.decisions]


class FakeEndOffsets:
    """Stands in for the end offset requests and for each task's frontier; the test sets what was read."""

    def __init__(self) -> None:
        self.read_until_ms = 0
        self.requests = 0
        self.positions_asked: list[int] = []

    def request(self, inputs: Iterable[TopicPartitionKey], now_ms: int) -> None:  # noqa: ARG002
        """Counts requests."""
        self.requests += 1

    def hand_out(self, tasks: Mapping[int, PartitionTask]) -> None:
        """No response arrives."""

    def read_up_to_ms(self, positions: Mapping[str, int]) -> int:
        """The time set by the test."""
        self.positions_asked.append(positions["order.requests"])
        return self.read_until_ms


class FakePod:
    """Stands in for the assigned partitions: real stores and tasks, but no brokers."""

    def __init__(self, folder: Path, partitions: int = 1, limit: int = 10**6) -> None:
        self.stores = {n: PartitionStore(folder / str(n), "changelog", 10_000, limit) for n in range(partitions)}
        for store in self.stores.values():
            # Creates the window: it has the full limit only while no saga is queued.
            assert store.admission.keeps_slot("reservation") == (limit > 1)
        self.tasks = {n: PartitionTask(n, store, {"order.requests": 0}) for n, store in self.stores.items()}
        self.meters = Meters()
        self.end_offsets = FakeEndOffsets()
        for task in self.tasks.values():
            task.frontier = cast("Any", self.end_offsets)
        processor = SagaProcessor(Versions((with_policy(ORDER, timeout_ms=30_000),)), partitions)
        end_offsets = cast("Any", self.end_offsets)
        self.wakeups = Wakeups(cast("Any", self), end_offsets, processor.on_timer, processor.on_capacity)
        self.touched: frozenset[int] = frozenset()
        self.group, self.commit_metadata = None, ""

    def inputs(self) -> list[TopicPartitionKey]:
        """All partitions of one input."""
        return [("order.requests", number) for number in self.tasks]

    def save_sagas(self, number: int, *ids: str, due_ms: int | None = None) -> None:
        """Saves sagas of a partition whose reservation times out at `due_ms`, or is queued without it."""
        active = Queued("reservation", 0, 1) if due_ms is None else InFlight("reservation", 1, 1, NOW, due_ms)
        for id in ids:
            self.stores[number].set(
                id.encode(), Progress(1, Running(SagaData("order", 1, "d", NOW, ORDERED, {}), None, (active,)))
            )
        self.save(number)

    def run_batch(self, now_ms: int = NOW) -> RecordingProducer:
        """Runs one batch without records, as if it was committed, and saves it."""
        producer = RecordingProducer()
        batch = Batch(cast("Any", producer), str, "saga.state")
        touched = set()
        for number, batch.task in self.tasks.items():
            if self.wakeups.run_due(batch, batch.task, now_ms):
                touched.add(number)
        self.touched = frozenset(touched)
        for number in self.touched:
            self.save(number)
        return producer

    def save(self, number: int) -> None:
        """Saves a partition's changes, as if they were committed."""
        store = self.stores[number]
        store.save(store.take_changes(), store.offset + 1)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[FakePod]:
    """Three partitions whose inputs were read completely."""
    opened = FakePod(tmp_path, 3)
    opened.end_offsets.read_until_ms = 10**15
    yield opened
    close(opened)


def close(pod: FakePod) -> None:
    """Closes all stores."""
    for store in pod.stores.values():
        store.close()


def test_nothing_to_do_is_no_batch(pod: FakePod) -> None:
    """No partition is touched, and no transaction begins."""
    pod.save_sagas(0, "later", due_ms=NOW + 1)
    assert (pod.run_batch().transactions, pod.touched) == (0, frozenset())


def test_a_due_timer_fires_in_its_own_partition(pod: FakePod) -> None:
    """Earliest first; outputs go to the saga's partition, and each timer fires once."""
    pod.save_sagas(1, "second", due_ms=NOW - 1)
    pod.save_sagas(1, "first", due_ms=NOW - 2)
    pod.save_sagas(2, "third", due_ms=NOW)
    producer = pod.run_batch()
    assert producer.commands == [(1, b"first"), (1, b"second"), (2, b"third")]
    assert producer.timers == ["reservation:do:1:timeout"] * 3
    assert pod.touched == {1, 2}
    assert pod.run_batch().transactions == 0


def test_timers_fire_in_bounded_numbers(tmp_path: Path) -> None:
    """However many are due: the next batches take the rest, and each timer fires once."""
    pod = FakePod(tmp_path)
    pod.end_offsets.read_until_ms = NOW
    pod.save_sagas(0, *(f"o-{index}" for index in range(2 * MOST + 500)), due_ms=NOW - 1)
    batches = [pod.run_batch().timed_out for _ in range(4)]
    assert [len(ids) for ids in batches] == [MOST + 1, MOST + 1, 498, 0]
    assert len({id for ids in batches for id in ids}) == 2 * MOST + 500
    close(pod)


def test_sagas_are_admitted_in_bounded_numbers(tmp_path: Path) -> None:
    """In the order of the queue; with more partitions, fewer of each."""
    pod = FakePod(tmp_path, 2)
    ids = [f"o-{index:04}" for index in range(2500)]
    for number in pod.stores:
        pod.save_sagas(number, *ids)
    batches = [pod.run_batch().commands for _ in range(4)]
    assert [len(commands) for commands in batches] == [MOST + 2, MOST + 2, 2 * 498, 0]
    admitted = [key.decode() for commands in batches for number, key in commands if number == 1]
    assert admitted == ids
    close(pod)


def test_no_more_sagas_are_admitted_than_there_are_slots(tmp_path: Path) -> None:
    """Commands in flight count, and each admission takes a slot."""
    pod = FakePod(tmp_path, limit=3)
    pod.save_sagas(0, "asked", due_ms=NOW + 1000)
    pod.save_sagas(0, "a", "b", "c", "d")
    producer = pod.run_batch()
    assert producer.commands == [(0, b"a"), (0, b"b")]
    assert producer.timers == ["reservation:do:0:room"] * 2
    assert pod.run_batch().commands == []
    close(pod)


def test_a_timer_waits_until_earlier_records_were_read(pod: FakePod) -> None:
    """A reply that came before it could still be unread. So the end offsets of the inputs are requested."""
    pod.save_sagas(0, "a", due_ms=NOW - 10)
    pod.save_sagas(0, "b", due_ms=NOW - 5)
    pod.end_offsets.read_until_ms = 0
    assert (pod.run_batch().commands, pod.end_offsets.requests) == ([], 1)
    pod.end_offsets.read_until_ms = NOW - 7
    assert (pod.run_batch().commands, pod.end_offsets.requests) == ([(0, b"a")], 1)
    assert (pod.run_batch().commands, pod.end_offsets.requests) == ([], 2)
    pod.end_offsets.read_until_ms = NOW
    assert pod.run_batch().commands == [(0, b"b")]


def test_no_end_offsets_are_requested_while_nothing_is_due(pod: FakePod) -> None:
    """An idle pod sends no requests to the brokers."""
    pod.save_sagas(0, "a", due_ms=NOW + 1)
    pod.end_offsets.read_until_ms = 0
    pod.run_batch()
    assert pod.end_offsets.requests == 0


def test_records_of_the_same_batch_count_as_read(pod: FakePod) -> None:
    """The frontier sees the positions behind the records of the same batch."""
    pod.save_sagas(0, "a", due_ms=NOW - 1)
    pod.tasks[0].note_decided({"order.requests": 7})
    pod.run_batch()
    assert pod.end_offsets.positions_asked == [7]


def test_a_new_assignment_begins_with_nothing_read(pod: FakePod) -> None:
    """Others may have written meanwhile: the new task of a partition has a frontier of its own."""
    frontier = pod.tasks[0].frontier = ReadFrontier()
    frontier.aim_at(NOW, {"order.requests": 0})
    assert frontier.read_up_to_ms({"order.requests": 0}) == NOW
    again = PartitionTask(0, pod.stores[0], {"order.requests": 0})
    assert again.frontier.read_up_to_ms(again.positions) == 0


def test_admissions_do_not_wait_for_unread_records(pod: FakePod) -> None:
    """No unread record can invalidate an admission: a cancelled saga is just no longer queued."""
    pod.save_sagas(0, "a")
    pod.end_offsets.read_until_ms = 0
    assert pod.run_batch().commands == [(0, b"a")]


def test_partitions_in_a_transaction_are_left_alone(pod: FakePod) -> None:
    """They are in another producer's transaction: their changes are not on disk yet."""
    for number in (0, 1):
        pod.save_sagas(number, f"due-{number}", due_ms=NOW)
        pod.save_sagas(number, f"waits-{number}")
    producers: list[Any] = [RecordingProducer(), RecordingProducer(), RecordingProducer(), RecordingProducer()]
    busy, producer, *_ = producers
    context, assigned = BatchContext(str, "saga.state"), cast("Any", pod)
    loop = Loop(assigned, assigned, producers, context, pod.wakeups, lambda: NOW, 100)
    loop._committing[busy] = [pod.tasks[0]]
    pod.tasks[0].in_transaction = True
    loop._process_batch({})
    assert [(number, decision["saga_id"]) for number, decision in producer.decisions] == [(1, "due-1"), (1, "waits-1")]
    assert loop._committing[producer] == [pod.tasks[1]]
    assert pod.stores[0].due_times.until_ms == 0
    del loop._committing[busy]
    pod.tasks[0].in_transaction = False
    loop._process_batch({})
    assert [(number, decision["saga_id"]) for number, decision in busy.decisions] == [(0, "due-0"), (0, "waits-0")]


def test_a_saga_to_be_retried_is_queued_last(pod: FakePod) -> None:
    """Its timeout frees a slot for the first in the queue; the saga itself is queued last."""
    pod.save_sagas(0, "due", due_ms=NOW)
    pod.save_sagas(0, "first", "second")
    batches = [pod.run_batch().commands for _ in range(3)]
    assert batches == [[(0, b"first"), (0, b"second")], [(0, b"due")], []]


def test_a_stale_ticket_is_skipped(pod: FakePod) -> None:
    """The ticket of a saga that rolled back admits no saga, and holds none up."""
    pod.save_sagas(0, "gone", "next")
    pod.stores[0].set(b"gone", None)
    pod.save(0)
    producer = [command for _ in range(2) for command in pod.run_batch().commands]
    assert producer == [(0, b"next")]


def test_a_participant_that_is_down_is_probed_later(tmp_path: Path) -> None:
    """While a participant is down, its sagas stay queued until the next probe; the loop knows when."""
    pod = FakePod(tmp_path, limit=1)
    pod.stores[0].admission.on_failure("reservation", NOW)
    pod.save_sagas(0, "a", "b")
    pod.run_batch(NOW)
    assert pod.wakeups.next_ms() == NOW + 1000
    assert pod.run_batch(NOW + 999).commands == []
    assert pod.run_batch(NOW + 1000).commands == [(0, b"a")]
    close(pod)


def test_the_loop_knows_when_something_is_due(pod: FakePod) -> None:
    """The earliest of all partitions; at first at once, as the index must be read."""
    assert pod.wakeups.next_ms() == 0
    pod.run_batch()
    quiet = pod.wakeups.next_ms()
    pod.save_sagas(2, "a", due_ms=NOW + 7)
    due = pod.wakeups.next_ms()
    pod.save_sagas(1, "b")
    assert (due, pod.wakeups.next_ms()) == (NOW + 7, 0)
    assert quiet is not None
    assert quiet > NOW + 30_000


def test_without_partitions_there_is_nothing_to_do(tmp_path: Path) -> None:
    """Before the group has assigned any."""
    pod = FakePod(tmp_path, 0)
    assert (pod.wakeups.next_ms(), pod.run_batch().transactions) == (None, 0)
