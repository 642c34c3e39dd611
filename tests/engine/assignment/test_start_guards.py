"""Partitions are taken over on a real broker only if no decision can be lost or repeated."""

from dataclasses import replace

import orjson
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from app.engine.assignment.start_offsets import partition_identity, topic_id
from app.engine.errors import NeedsOperator, NeedsRestart, UnsafeStart
from app.engine.kafka.client_config import ClientConfig
from app.engine.state.store import PartitionStore
from app.saga.state import Completed, InFlight, Progress, RolledBack, Running, SagaData, Why
from app.wire.state_codec import encode
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.sandbox import Sandbox
from tests.engine.state.test_store import DONE, FAR

pytestmark = pytest.mark.broker
WHY = Why("no funds", "payment", requested=False)


def refusal(sandbox: Sandbox, *inputs: str) -> str:
    """The sentence with which a pod refuses to take partitions over."""
    with sandbox.member(inputs=inputs) as member, pytest.raises(NeedsOperator) as refused:
        member.join()
    return str(refused.value)


def test_fresh_topics_are_taken_over(sandbox: Sandbox) -> None:
    """A group that never committed begins at the beginning, and commits that at once: from then on offsets exist."""
    sandbox.create(2)
    sandbox.write("order.requests", 3)
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        positions = [position for task in member.assigned.tasks.values() for position in task.positions.values()]
        assert set(positions) == {0}
        assert len(positions) == len(sandbox.topics.inputs) * 2
        committed = member.consumer.committed(member.assignment, LIMIT)
        assert [tp.offset for tp in committed] == [0] * len(member.assignment)


def test_a_changelog_without_a_group_is_refused(sandbox: Sandbox) -> None:
    """quixstreams itself skips the whole changelog here, and silently begins with empty state."""
    sandbox.create()
    sandbox.write("saga.state")
    assert "has state, but the group has no committed offset for any input" in refusal(sandbox)


def test_an_input_whose_offset_was_lost_is_refused(sandbox: Sandbox) -> None:
    """All its records would be read again."""
    sandbox.create()
    sandbox.write("saga.state")
    sandbox.write("order.requests", 2)
    sandbox.commit(order_requests=-1)
    assert "order.requests[0] has records, but the group has no committed offset for it" in refusal(sandbox)


def test_events_without_a_changelog_are_refused(sandbox: Sandbox) -> None:
    """State that was deleted is not mistaken for state that never existed."""
    sandbox.create()
    sandbox.write("saga.events")
    assert "saga.state[0] is empty: the state was lost" in refusal(sandbox)


def test_an_input_whose_records_were_deleted_is_refused(sandbox: Sandbox) -> None:
    """quixstreams itself deletes its state here, and goes on with the records that are left."""
    sandbox.create()
    sandbox.write("order.requests", 5)
    sandbox.commit(order_requests=2)
    before = TopicPartition(sandbox.full("order.requests"), 0, 4)
    sandbox.admin.delete_records([before])[before].result(LIMIT)
    assert "order.requests[0] was deleted up to 4, but the group has read it up to 2 only" in refusal(sandbox)


def test_a_recreated_input_is_refused(sandbox: Sandbox) -> None:
    """The group's offset means nothing in a topic that is shorter."""
    sandbox.create()
    sandbox.commit(order_requests=7)
    assert "order.requests[0] ends at 0, but the group has read it up to 7" in refusal(sandbox)


def test_a_local_store_ahead_of_its_changelog_is_refused(sandbox: Sandbox) -> None:
    """The changelog has lost records that were committed: their outputs in other topics still exist."""
    sandbox.create()
    sandbox.write("saga.state", 2)
    sandbox.commit()
    config = sandbox.client_config()
    identity = partition_identity(topic_id(AdminClient(sandbox.client), sandbox.changelog, LIMIT), 0)
    store = PartitionStore(config.state_dir / config.group / "0", identity, 10, 10)
    store.save(store.take_changes(), 3)
    store.close()
    sentence = refusal(sandbox)
    assert "is ahead of" in sentence
    assert "which has lost records since" in sentence


def test_a_changelog_that_was_recreated_under_running_pods_is_refused(sandbox: Sandbox) -> None:
    """It has new state of the sagas that went on, but none of those that were idle."""
    sandbox.create()
    sandbox.write("order.requests", 1)
    sandbox.join_once()
    sandbox.delete_one("saga.state")
    sandbox.create_one("saga.state", cleanup_policy="compact")
    sandbox.write("saga.state")
    sentence = refusal(sandbox)
    assert f"{sandbox.changelog} was re-created since the group last committed" in sentence
    assert "rebuild" in sentence


def test_local_state_of_a_recreated_changelog_is_dropped(sandbox: Sandbox) -> None:
    """A folder left behind by former topics of the same names is ignored; the start is not refused."""
    sandbox.create()
    sandbox.commit()
    config = sandbox.client_config()
    store = PartitionStore(config.state_dir / config.group / "0", "the identity of a former topic", 10, 10)
    store.set(b"a", DONE)
    store.save(store.take_changes(), 3)
    store.close()
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        assert (member.assigned.tasks[0].store.get(b"a"), member.assigned.tasks[0].store.offset) == (None, 0)


def test_a_pod_that_gets_only_some_inputs_of_a_partition_is_refused(sandbox: Sandbox) -> None:
    """While pods with two versions of a topology are in the group, a partition's inputs can go to different pods."""
    sandbox.create()
    sentence = refusal(sandbox, sandbox.full("order.requests"), sandbox.full("payment.replies"))
    assert "reservation.replies[0]" in sentence
    assert "went to another pod than the other inputs of partition 0: stop all pods" in sentence


def test_an_open_transaction_of_a_former_owner_is_waited_for(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committed offset is known only when it ends; going on from the one before would repeat its decisions."""
    sandbox.create()
    sandbox.write("order.requests", 3)
    sandbox.commit()
    former = transactional_producer(sandbox.client["bootstrap.servers"], f"{sandbox.group}.former.0")
    with sandbox.member("former") as member:
        member.join()
        group = member.consumer.consumer_group_metadata()
        former.begin_transaction()
        former.produce(sandbox.full("saga.events"), b"{}")
        former.send_offsets_to_transaction([TopicPartition(sandbox.full("order.requests"), 0, 3)], group, LIMIT)
        inputs = [TopicPartition(sandbox.full("order.requests"), 0)]
        monkeypatch.setattr(ClientConfig, "patience", 1.0)
        with pytest.raises(NeedsRestart, match=r"not available for 1 s .*: a transaction of a former owner stays open"):
            member.assigned._creator._committed(inputs, member.assigned.commit_metadata)
        former.commit_transaction(LIMIT)
        found = member.assigned._creator._committed(inputs, member.assigned.commit_metadata)
        assert found == {(inputs[0].topic, 0): 3}


def write_state(sandbox: Sandbox, *progress: Progress) -> None:
    """Writes these sagas to the changelog, and an order to the requests."""
    sandbox.create()
    sandbox.commit()
    sandbox.write("order.requests", 1)
    for index, each in enumerate(progress):
        sandbox.write_one("saga.state", b"o-%d" % index, encode(each))


def of_version(version: int) -> SagaData:
    """The data of a saga that began in that version."""
    return SagaData("order", version, "d" * 32, 0, {}, {})


def live(version: int) -> Progress:
    """A saga that is live in that version."""
    return Progress(1, Running(of_version(version), None, (InFlight("reservation", 1, 1, 0, FAR),)))


def test_live_sagas_of_an_unknown_version_are_refused(sandbox: Sandbox) -> None:
    """Before any record is read, as no reply to them could be interpreted."""
    write_state(sandbox, live(9), live(1), live(9), Progress(3, Completed(of_version(8), FAR)))
    with sandbox.member() as member:
        member.join()
        with pytest.raises(UnsafeStart) as refused:
            member.finish_restore()
        assert member.consumer.consume(10, 0.3) == []
    assert str(refused.value) == (
        "2 sagas are live in order/9, but this process knows only order/1: keep their definition until they have ended"
    )


def test_live_sagas_of_another_definition_are_refused(sandbox: Sandbox) -> None:
    """Step names and version may be the same, but the saga would go on differently."""
    data = replace(of_version(1), saga="shipped-order")
    write_state(sandbox, Progress(1, Running(data, None, (InFlight("payment", 1, 1, 0, FAR),))))
    with sandbox.member() as member:
        member.join()
        with pytest.raises(UnsafeStart, match=r"1 sagas are live in shipped-order/1, .* knows only order/1: keep"):
            member.finish_restore()


def test_ended_sagas_of_an_unknown_version_are_kept(sandbox: Sandbox) -> None:
    """They are restored as they are, and reading begins."""
    ended = Progress(3, Completed(of_version(9), FAR)), Progress(3, RolledBack(of_version(8), WHY, FAR))
    write_state(sandbox, *ended)
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        until(lambda: any(each.error() is None for each in member.consumer.consume(1, 0.1)), "the order to be read")
        assert [member.assigned.tasks[0].store.get(key) for key in (b"o-0", b"o-1")] == list(ended)


def test_a_changelog_with_an_unknown_document_is_refused(sandbox: Sandbox) -> None:
    """Its meaning is unknown; a document of a later version of this program is an example."""
    write_state(sandbox, live(1))
    later = {**orjson.loads(encode(live(1))), "priority": 7}
    sandbox.write_one("saga.state", b"o-9", orjson.dumps(later))
    with sandbox.member() as member:
        member.join()
        with pytest.raises(UnsafeStart) as refused:
            member.finish_restore()
    assert str(refused.value) == (
        f"{sandbox.changelog}[0] has a record before offset 2 that is not a saga's state: unknown fields: "
        "another program, or another version of this one, has written there; find out which"
    )


def test_an_unsafe_start_needs_an_operator() -> None:
    """The command ends with the exit code for an operator."""
    assert issubclass(UnsafeStart, NeedsOperator)
