"""Pods on the real broker: two of one name, pods that end early, slow records, and reading ahead."""

import gc
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer

from app.engine.application import SagaApplication
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.errors import NeedsRestart
from app.engine.kafka.transactions import TransactionalProducer
from app.engine.processor import SagaProcessor
from app.engine.runtime.batch import BatchContext
from app.engine.runtime.loop import Loop
from app.engine.runtime.wakeups import OnTimer, Wakeups
from app.saga.versions import Versions
from app.wire.topics import STATE
from app.wire.writer import OutputRecord
from tests.broker.pods import read_committed, site
from tests.devkafka.support import LIMIT, until
from tests.engine.group_member import POLICY, GroupMember
from tests.engine.sandbox import Sandbox
from topologies.orchestrate import orchestrate
from topologies.order import ORDER

pytestmark = pytest.mark.broker
SLOW_SECONDS, SLOW_RECORDS = 0.1, 30
SETTLED_LOOKS = 50  # consecutive looks at the memory, one second in all, that must not show growth


@pytest.fixture
def gc_restored() -> Iterator[None]:
    """Enables the garbage collector again, which an application disables."""
    yield
    gc.enable()
    gc.unfreeze()


def test_a_second_process_of_the_same_name_ends_the_first(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """The first one reports why and ends; the second one goes on, and nothing is decided twice."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        first = at.running("first", instance_id="same")
        at.place("one")
        at.await_events("one", "saga.step.requested")
        second = at.running("second", instance_id="same")
        at.place("two")
        until(lambda: not first.alive, "the first to end")
        at.await_events("two", "saga.step.requested")
        assert first.stop() == 1
        last = orjson.loads(first.said().splitlines()[-1])
        assert (last["level"], last["exit_code"]) == ("error", 1)
        assert "Traceback" not in first.said()
        assert second.alive
        assert [decision["saga_id"] for decision in at.decisions()] == ["one", "two"]


def test_a_pod_that_is_stopped_before_it_runs_ends(sandbox: Sandbox, gc_restored: None) -> None:
    """SIGTERM can come while transactional ids are initialised; quixstreams' own loop would then begin to run."""
    sandbox.create()
    app = SagaApplication(sandbox.client_config(), sandbox.topics, POLICY)
    orchestrate(app, sandbox.topics, SagaProcessor(Versions((ORDER,)), 1))
    app.stop()
    app._run_dataframe()
    app._consumer.close()  # type: ignore[no-untyped-call]


def test_partitions_assigned_to_a_closing_pod_are_not_taken_over(sandbox: Sandbox) -> None:
    """A consumer that is being closed may still be assigned partitions; asking it for offsets would fail."""
    sandbox.create()
    app = SagaApplication(sandbox.client_config(), sandbox.topics, POLICY)
    app.stop()
    app._on_assign(None, [])
    with sandbox.member() as member:
        member.join()
        app._on_assign(None, member.assignment)
        assert app._assigned.tasks == {}
        assert len(member.assigned.tasks) == 1


def test_a_pod_that_loses_its_partitions_ends(sandbox: Sandbox) -> None:
    """Its partitions belong to others already, so everything it holds is dropped with the process."""
    app = SagaApplication(sandbox.client_config(), sandbox.topics, POLICY)
    with pytest.raises(NeedsRestart, match="gave this process's partitions to others"):
        app._on_lost(None, [])


def test_slow_records_are_committed_in_several_transactions(sandbox: Sandbox) -> None:
    """A batch has a time limit, however many records there are: brokers abort a transaction that takes too long."""
    sandbox.create()
    sandbox.write("order.requests", SLOW_RECORDS)
    with sandbox.member() as member:
        member.join()
        loop, context = make_loop(member)

        def slow(value: bytes, key: bytes, *_: object) -> None:
            done = time.monotonic() + SLOW_SECONDS
            while time.monotonic() < done:
                pass
            context.send(OutputRecord("saga.dead-letters", key, value, ()))

        executors = {sandbox.full(topic.name): slow for topic in sandbox.topics.inputs}
        while member.position(0, "order.requests") != SLOW_RECORDS:
            loop.run_once(executors)
        loop.drain()
    offsets = [message.offset() for message in read_committed(sandbox.client, sandbox.start_of("saga.dead-letters"))]
    assert len(offsets) == SLOW_RECORDS
    transactions = 1 + sum(after - before > 1 for before, after in pairwise(offsets))
    assert transactions >= SLOW_RECORDS * SLOW_SECONDS // 2


def test_producers_are_used_in_turn(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a commit the broker still writes markers, and delays the next transaction of the same id."""
    sandbox.create()
    used: list[TransactionalProducer] = []
    begin = TransactionalProducer.begin

    def recording_begin(producer: TransactionalProducer) -> None:
        used.append(producer)
        begin(producer)

    monkeypatch.setattr(TransactionalProducer, "begin", recording_begin)
    with sandbox.member() as member:
        member.join()
        loop, context = make_loop(member)

        def echo(value: bytes, key: bytes, *_: object) -> None:
            context.send(OutputRecord("saga.dead-letters", key, value, ()))

        executors = {sandbox.full(topic.name): echo for topic in sandbox.topics.inputs}
        for written in range(1, 4):
            sandbox.write("order.requests", 1)
            while member.position(0, "order.requests") < written:
                loop.run_once(executors)
            loop.drain()
    assert len(used) >= 3
    assert all(one is not other for one, other in pairwise(used))


@pytest.mark.parametrize("part", ("value", "key", "headers"))
def test_reading_ahead_is_bounded_in_bytes(sandbox: Sandbox, part: str) -> None:
    """A flood of records with the largest possible value, key or headers does not fill the memory."""
    sandbox.create()
    sandbox.write_large("order.requests", 80, 900_000, part)
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        loop, _ = make_loop(member)
        inbox = loop._inbox
        end = time.monotonic() + LIMIT
        while not inbox.full and inbox.waiting < 80 and time.monotonic() < end:
            inbox.read(1.0)
        assert inbox.full
        assert inbox.waiting < 60
        taken = inbox.take(len(member.assigned.tasks))
        states = [inbox.full]
        inbox.put_back(member.assigned.tasks[0], taken[0])
        states.append(inbox.full)
        inbox.clear()
        assert len(taken[0]) > 30
        assert [*states, inbox.full] == [False, True, False]


def test_the_client_reads_ahead_no_more_than_it_must(sandbox: Sandbox) -> None:
    """The client bounds values in bytes, but only counts keys and headers."""
    sandbox.create()
    sandbox.write_large("order.requests", 500, 900_000, "headers")
    reader = Consumer({**sandbox.client_config().consumer(), "group.id": sandbox.group})
    before, seen = resident_mb(), [0]

    def settled() -> bool:
        seen.append(resident_mb() - before)
        return len(seen) > SETTLED_LOOKS and seen[-1] - seen[-SETTLED_LOOKS] < 5

    reader.assign([sandbox.start_of("order.requests")])
    assert reader.poll(LIMIT) is not None
    until(settled, "the client to have read ahead")
    reader.close()
    assert seen[-1] < 100, seen


def resident_mb() -> int:
    """Resident memory of this process in MB."""
    (line,) = (line for line in Path("/proc/self/status").read_text("ascii").splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


def make_loop(member: GroupMember, on_timer: OnTimer | None = None, now_ms: int = 0) -> tuple[Loop, BatchContext]:
    """The engine's loop around a group member, with a clock that stands still."""
    topics, config = member.topics, member.config
    producers = [TransactionalProducer(settings, 10.0, topics.full(STATE)) for settings in config.producers()]
    for producer in producers:
        producer.init_transactions()
    context = BatchContext(topics.full, topics.full(STATE))
    wakeups = Wakeups(member.assigned, EndOffsetRequests(config.common(), 10.0), on_timer, None)
    loop = Loop(member.consumer, member.assigned, producers, context, wakeups, lambda: now_ms, 1000)
    return loop, context
