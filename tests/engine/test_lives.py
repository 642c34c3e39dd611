"""Lives of pods on the real broker: of one name at the same time, ended early, and with slow records."""

import gc
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from app.engine.application import SagaApplication
from app.engine.batch import BatchContext
from app.engine.duties import Keeper
from app.engine.errors import Ended
from app.engine.horizon import Horizon
from app.engine.lanes import Lane
from app.engine.loop import Loop
from app.engine.turn import Turns
from app.saga.versions import Versions
from app.wire.topics import STATE
from app.wire.writer import Out
from tests.broker.pods import read_committed, site
from tests.devkafka.support import LIMIT, until
from tests.engine.owner import POLICY, Owner, Place
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

pytestmark = pytest.mark.broker
SLOW_SECONDS, SLOW_RECORDS = 0.1, 30
SETTLED_LOOKS = 50  # at the memory, of which nothing more happens any more; a second's worth


@pytest.fixture
def collected() -> Iterator[None]:
    """Gives the garbage collector back, which an application takes for itself."""
    yield
    gc.enable()
    gc.unfreeze()


def test_a_second_process_of_the_same_name_ends_the_first(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The first one says why and ends; the second one goes on, and nothing is decided twice."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        first = at.running("first", instance_id="same")
        at.place("one")
        at.await_events("one", "saga.step.requested")
        second = at.running("second", instance_id="same")
        at.place("two")
        until(lambda: not first.alive, "the first to end")
        at.await_events("two", "saga.step.requested")
        assert first.stop() == 1
        last = first.said().splitlines()[-1]
        assert last.startswith("saga: ")
        assert "Traceback" not in first.said()
        assert second.alive
        assert [decision["saga_id"] for decision in at.decisions()] == ["one", "two"]


def test_a_pod_that_is_told_to_end_before_it_runs_ends(place: Place, collected: None) -> None:
    """SIGTERM can come while its transactional ids are taken over; the stock loop would then begin to run."""
    place.create()
    app = SagaApplication(place.clients(), place.topics, POLICY)
    orchestrate(app, place.topics, Turns(Versions((ORDER,)), 1), app.clock)
    app.stop()
    app._run_dataframe()
    app._consumer.close()  # type: ignore[no-untyped-call]


def test_partitions_that_are_given_to_a_pod_on_its_way_out_are_not_taken(place: Place) -> None:
    """A consumer that closes still serves an assignment; to ask it for offsets then would fail."""
    place.create()
    app = SagaApplication(place.clients(), place.topics, POLICY)
    app.stop()
    app._on_assign(None, [])
    with place.owner() as owner:
        owner.start()
        app._on_assign(None, owner.assigned)
        assert app._ownership.stores == {}
        assert len(owner.own.stores) == 1


def test_a_lost_pod_ends(place: Place) -> None:
    """When its partitions are others' already, all that it holds is dropped with the process."""
    app = SagaApplication(place.clients(), place.topics, POLICY)
    with pytest.raises(Ended, match="gave this process's partitions to others"):
        app._on_lost(None, [])


def test_slow_records_are_committed_bit_by_bit(place: Place) -> None:
    """A batch ends after a while however many records are there: brokers abort a transaction that takes too long."""
    place.create()
    place.write("order.requests", SLOW_RECORDS)
    with place.owner() as owner:
        owner.start()
        loop, context = looping(owner)

        def slow(value: bytes, key: bytes, *_: object) -> None:
            done = time.monotonic() + SLOW_SECONDS
            while time.monotonic() < done:
                pass
            context.send(Out("saga.dead-letters", key, value, ()))

        executors = {place.full(topic.name): slow for topic in place.topics.inputs}
        while owner.own.positions.get((place.full("order.requests"), 0)) != SLOW_RECORDS:
            loop.turn(executors)
        loop.finish()
    offsets = [message.offset() for message in read_committed(place.client, place.start_of("saga.dead-letters"))]
    assert len(offsets) == SLOW_RECORDS
    transactions = 1 + sum(after - before > 1 for before, after in pairwise(offsets))
    assert transactions >= SLOW_RECORDS * SLOW_SECONDS // 2


def test_lanes_take_turns(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """For a while after a commit the broker still writes its markers, and has the next one of the same id wait."""
    place.create()
    used: list[Lane] = []
    begin = Lane.begin

    def begun(lane: Lane) -> None:
        used.append(lane)
        begin(lane)

    monkeypatch.setattr(Lane, "begin", begun)
    with place.owner() as owner:
        owner.start()
        loop, context = looping(owner)

        def echo(value: bytes, key: bytes, *_: object) -> None:
            context.send(Out("saga.dead-letters", key, value, ()))

        executors = {place.full(topic.name): echo for topic in place.topics.inputs}
        for written in range(1, 4):
            place.write("order.requests", 1)
            while owner.own.positions.get((place.full("order.requests"), 0), 0) < written:
                loop.turn(executors)
            loop.finish()
    assert len(used) >= 3
    assert all(one is not other for one, other in pairwise(used))


@pytest.mark.parametrize("part", ("value", "key", "headers"))
def test_reading_ahead_is_bounded_in_bytes(place: Place, part: str) -> None:
    """A flood of the largest records there can be fills no memory, whichever part is large; it waits at the brokers."""
    place.create()
    place.write_large("order.requests", 80, 900_000, part)
    with place.owner() as owner:
        owner.start()
        owner.restored()
        loop, _ = looping(owner)
        inbox = loop._inbox
        end = time.monotonic() + LIMIT
        while not inbox.full and inbox.waiting < 80 and time.monotonic() < end:
            inbox.read(1.0)
        assert inbox.full
        assert inbox.waiting < 60
        taken = inbox.take(frozenset(), len(owner.own.stores))
        states = [inbox.full]
        inbox.put_back(0, taken[0])
        states.append(inbox.full)
        inbox.clear()
        assert len(taken[0]) > 30
        assert [*states, inbox.full] == [False, True, False]


def test_the_client_reads_ahead_no_more_than_it_must(place: Place) -> None:
    """It bounds values in bytes, but of keys and headers it only counts how many records there are."""
    place.create()
    place.write_large("order.requests", 500, 900_000, "headers")
    reader = Consumer({**place.clients().consumer(), "group.id": place.group})
    before, seen = resident(), [0]

    def settled() -> bool:
        seen.append(resident() - before)
        return len(seen) > SETTLED_LOOKS and seen[-1] - seen[-SETTLED_LOOKS] < 5

    reader.assign([place.start_of("order.requests")])
    assert reader.poll(LIMIT) is not None
    until(settled, "the client to have read ahead")
    reader.close()
    assert seen[-1] < 100, seen


def resident() -> int:
    """Megabytes of memory that this process has."""
    (line,) = (line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def looping(owner: Owner, keeper: Keeper | None = None, now_ms: int = 0) -> tuple[Loop, BatchContext]:
    """The engine's loop around a member of the group, at a time that stands still."""
    place, clients = owner.topics, owner.clients
    lanes = [Lane(config, 10.0, place.full(STATE)) for config in clients.lanes()]
    for lane in lanes:
        lane.open()
    context = BatchContext(place.full, place.full(STATE))
    horizon = Horizon(clients.plain(), 10.0)
    loop = Loop(owner.consumer, owner.own, lanes, context, keeper, lambda: now_ms, horizon, 1000)
    return loop, context
