"""What is done for sagas when no record comes in: due times and let-ins, in which partitions, how many at once."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from app.engine.batch import Batch, BatchContext
from app.engine.duties import Duties
from app.engine.loop import Loop
from app.engine.offsets import Place
from app.engine.store import PartitionStore
from app.engine.turn import Turns
from app.saga.definition import with_policy
from app.saga.state import Asked, Facts, Progress, Running, Waiting
from app.saga.versions import Versions
from topologies.order import ORDER

NOW = 1_700_000_000_000
MOST = 2000
ORDERED = {"lines": [], "customer_id": "c", "total": {"currency": "EUR", "minor": 1}}


class Sent:
    """A lane that keeps what it is given, and whose commits are never done."""

    def __init__(self) -> None:
        self.decisions: list[tuple[int, dict[str, Any]]] = []
        self.commands: list[tuple[int, bytes]] = []
        self.transactions = 0

    def begin(self) -> None:
        """The batch has something to say."""
        self.transactions += 1

    def commit(self, *_: object) -> None:
        """It is under way."""

    def produce(self, topic: str, key: bytes, value: bytes, _: object, partition: int, *__: object) -> None:
        """Takes a record of the batch."""
        if topic == "saga.events":
            self.decisions.append((partition, orjson.loads(value)))
        if topic.endswith(".commands"):
            self.commands.append((partition, key))

    @property
    def timed_out(self) -> list[str]:
        """Whose time was up, in order."""
        return [it["saga_id"] for _, it in self.decisions if it["cause"]["timer"].endswith(":timeout")]

    @property
    def timers(self) -> list[str]:
        """What each decision was caused by, in order."""
        return [decision["cause"]["timer"] for _, decision in self.decisions]


class Ends:
    """A horizon up to which all was read, as a test says."""

    def __init__(self) -> None:
        self.read_until = 0
        self.looks = self.clears = 0
        self.asked: list[tuple[int, int]] = []

    def look(self, places: Mapping[Place, int], now_ms: int) -> None:  # noqa: ARG002
        """Somebody wants to know more."""
        self.looks += 1

    def until(self, partition: int, positions: Mapping[Place, int]) -> int:
        """What is known."""
        self.asked.append((partition, positions["order.requests", partition]))
        return self.read_until

    def clear(self) -> None:
        """Nothing is known any more."""
        self.clears += 1


class Pod:
    """What the loop has around the duties: stores and positions, but no brokers."""

    def __init__(self, folder: Path, numbers: int = 1, limit: int = 10**6) -> None:
        self.stores = {n: PartitionStore(folder / str(n), "changelog", 10_000, limit) for n in range(numbers)}
        for store in self.stores.values():
            assert store.gate.bears("reservation") == (limit > 1)  # nobody waits yet, so nobody is in trouble
        self.positions: dict[Place, int] = {("order.requests", number): 0 for number in self.stores}
        self.horizon = Ends()
        self.turns = Turns(Versions((with_policy(ORDER, timeout_ms=30_000),)), numbers)
        self.duties = Duties(cast("Any", self), cast("Any", self.horizon), self.turns)
        self.touched: frozenset[int] = frozenset()
        self.group, self.mark = None, ""

    def keep(self, number: int, *ids: str, due_ms: int | None = None) -> None:
        """Sagas of a partition whose reservation is due then, or waits for room."""
        leg = Waiting("reservation", 0, 1) if due_ms is None else Asked("reservation", 1, 1, NOW, due_ms)
        for id in ids:
            self.stores[number].set(
                id.encode(), Progress(1, Running(Facts("order", 1, "d", NOW, ORDERED, {}), None, (leg,)))
            )
        self.save(number)

    def see_to(self, now_ms: int = NOW) -> Sent:
        """One batch in which no record is decided, committed and saved."""
        sent = Sent()
        batch = Batch(cast("Any", sent), self.stores, str, "saga.state")
        touched = set()
        for batch.partition in self.stores:
            if self.duties.see_to(batch, {}, now_ms):
                touched.add(batch.partition)
        self.touched = frozenset(touched)
        for number in self.touched:
            self.save(number)
        return sent

    def save(self, number: int) -> None:
        """What changed in a partition is committed, and on disk."""
        store = self.stores[number]
        store.save(store.changes(), store.offset + 1)


@pytest.fixture
def pod(tmp_path: Path) -> Iterator[Pod]:
    """One with three partitions, everything in them read."""
    made = Pod(tmp_path, 3)
    made.horizon.read_until = 10**15
    yield made
    close(made)


def close(pod: Pod) -> None:
    """Ends its life."""
    for store in pod.stores.values():
        store.close()


def test_nothing_to_do_is_no_batch(pod: Pod) -> None:
    """No partition is touched, and no transaction begins."""
    pod.keep(0, "later", due_ms=NOW + 1)
    assert (pod.see_to().transactions, pod.touched) == (0, frozenset())


def test_what_is_due_is_seen_to_in_its_own_partition(pod: Pod) -> None:
    """The earliest first; the batch's outputs go to the partition of the saga, and each is seen to once."""
    pod.keep(1, "second", due_ms=NOW - 1)
    pod.keep(1, "first", due_ms=NOW - 2)
    pod.keep(2, "third", due_ms=NOW)
    sent = pod.see_to()
    assert sent.commands == [(1, b"first"), (1, b"second"), (2, b"third")]
    assert sent.timers == ["reservation:do:1:timeout"] * 3
    assert pod.touched == {1, 2}
    assert pod.see_to().transactions == 0


def test_a_bounded_number_of_due_times_is_seen_to_at_once(tmp_path: Path) -> None:
    """However many are due: the rest comes with the next batches, and none is lost or seen to twice."""
    pod = Pod(tmp_path)
    pod.horizon.read_until = NOW
    pod.keep(0, *(f"o-{index}" for index in range(2 * MOST + 500)), due_ms=NOW - 1)
    batches = [pod.see_to().timed_out for _ in range(4)]
    assert [len(ids) for ids in batches] == [MOST + 1, MOST + 1, 498, 0]
    assert len({id for ids in batches for id in ids}) == 2 * MOST + 500
    close(pod)


def test_a_bounded_number_is_let_in_at_once(tmp_path: Path) -> None:
    """In their order; a pod of more partitions lets in fewer of each."""
    pod = Pod(tmp_path, 2)
    ids = [f"o-{index:04}" for index in range(2500)]
    for number in pod.stores:
        pod.keep(number, *ids)
    batches = [pod.see_to().commands for _ in range(4)]
    assert [len(commands) for commands in batches] == [MOST + 2, MOST + 2, 2 * 498, 0]
    let_in = [key.decode() for commands in batches for number, key in commands if number == 1]
    assert let_in == ids
    close(pod)


def test_no_more_are_let_in_than_there_is_room_for(tmp_path: Path) -> None:
    """Those outstanding count; who is let in takes the room."""
    pod = Pod(tmp_path, limit=3)
    pod.keep(0, "asked", due_ms=NOW + 1000)
    pod.keep(0, "a", "b", "c", "d")
    sent = pod.see_to()
    assert sent.commands == [(0, b"a"), (0, b"b")]
    assert sent.timers == ["reservation:do:0:room"] * 2
    assert pod.see_to().commands == []
    close(pod)


def test_due_times_wait_until_all_that_came_before_them_was_read(pod: Pod) -> None:
    """An answer could lie there that makes them void. Somebody looks where the inputs end."""
    pod.keep(0, "a", due_ms=NOW - 10)
    pod.keep(0, "b", due_ms=NOW - 5)
    pod.horizon.read_until = 0
    assert (pod.see_to().commands, pod.horizon.looks) == ([], 1)
    pod.horizon.read_until = NOW - 7
    assert (pod.see_to().commands, pod.horizon.looks) == ([(0, b"a")], 1)
    assert (pod.see_to().commands, pod.horizon.looks) == ([], 2)
    pod.horizon.read_until = NOW
    assert pod.see_to().commands == [(0, b"b")]


def test_nobody_looks_where_inputs_end_while_nothing_is_due(pod: Pod) -> None:
    """An idle pod asks the brokers nothing."""
    pod.keep(0, "a", due_ms=NOW + 1)
    pod.horizon.read_until = 0
    pod.see_to()
    assert pod.horizon.looks == 0


def test_what_a_batch_has_decided_counts_as_read(pod: Pod) -> None:
    """The horizon judges by the positions behind the records of this very batch."""
    pod.keep(0, "a", due_ms=NOW - 1)
    pod.positions["order.requests", 0] = 7
    pod.see_to()
    assert pod.horizon.asked == [(0, 7)]


def test_goals_are_forgotten_with_the_partitions(pod: Pod) -> None:
    """When they come back, others may have written."""
    pod.duties.clear()
    assert pod.horizon.clears == 1


def test_let_ins_wait_for_nothing_but_room(pod: Pod) -> None:
    """No record can make them void: a saga that was cancelled meanwhile just waits no more."""
    pod.keep(0, "a")
    pod.horizon.read_until = 0
    assert pod.see_to().commands == [(0, b"a")]


def test_busy_partitions_are_left_alone(pod: Pod) -> None:
    """Another lane holds them: what it changed is not on disk yet."""
    for number in (0, 1):
        pod.keep(number, f"due-{number}", due_ms=NOW)
        pod.keep(number, f"waits-{number}")
    lanes: list[Any] = [Sent(), Sent(), Sent(), Sent()]
    held, sent, *_ = lanes
    context, own = BatchContext(str, "saga.state"), cast("Any", pod)
    loop = Loop(own, own, lanes, context, pod.turns, lambda: NOW, own.horizon, 100)
    loop._held[held] = frozenset({0})
    loop._begin({})
    assert [(number, decision["saga_id"]) for number, decision in sent.decisions] == [(1, "due-1"), (1, "waits-1")]
    assert loop._held[sent] == {1}
    assert pod.stores[0].timers.until_ms == 0
    del loop._held[held]
    loop._begin({})
    assert [(number, decision["saga_id"]) for number, decision in held.decisions] == [(0, "due-0"), (0, "waits-0")]


def test_who_is_to_be_asked_again_waits_behind_those_who_wait(pod: Pod) -> None:
    """Its time-out made room for the first of them; it comes last in the queue itself."""
    pod.keep(0, "due", due_ms=NOW)
    pod.keep(0, "first", "second")
    batches = [pod.see_to().commands for _ in range(3)]
    assert batches == [[(0, b"first"), (0, b"second")], [(0, b"due")], []]


def test_who_waits_no_more_is_passed_over(pod: Pod) -> None:
    """A ticket of a saga that has gone back meanwhile lets in nobody, and holds up nobody."""
    pod.keep(0, "gone", "next")
    pod.stores[0].set(b"gone", None)
    pod.save(0)
    sent = [command for _ in range(2) for command in pod.see_to().commands]
    assert sent == [(0, b"next")]


def test_who_is_in_trouble_is_tried_again_later(tmp_path: Path) -> None:
    """A participant that is down holds its sagas back until it may be tried again; the loop knows when."""
    pod = Pod(tmp_path, limit=1)
    pod.stores[0].gate.troubled("reservation", NOW)
    pod.keep(0, "a", "b")
    pod.see_to(NOW)
    assert pod.duties.next_ms() == NOW + 1000
    assert pod.see_to(NOW + 999).commands == []
    assert pod.see_to(NOW + 1000).commands == [(0, b"a")]
    close(pod)


def test_the_loop_is_told_when_there_is_something_to_do(pod: Pod) -> None:
    """The earliest of all partitions; at first the index is to be looked at, at once."""
    assert pod.duties.next_ms() == 0
    pod.see_to()
    quiet = pod.duties.next_ms()
    pod.keep(2, "a", due_ms=NOW + 7)
    due = pod.duties.next_ms()
    pod.keep(1, "b")
    assert (due, pod.duties.next_ms()) == (NOW + 7, 0)
    assert quiet is not None
    assert quiet > NOW + 30_000


def test_without_partitions_there_is_nothing_to_do(tmp_path: Path) -> None:
    """Before the group has given any."""
    pod = Pod(tmp_path, 0)
    assert (pod.duties.next_ms(), pod.see_to().transactions) == (None, 0)
