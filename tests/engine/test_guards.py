"""Taking partitions over on a real broker: refused rather than begun with less than was decided."""

from dataclasses import replace

import orjson
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from app.engine.clients import Clients
from app.engine.errors import Ended, Refused
from app.engine.offsets import UnsafeStart, identity, part_of
from app.engine.store import PartitionStore
from app.saga.state import Asked, Completed, Facts, Progress, RolledBack, Running, Why
from app.wire.statedoc import encode
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.owner import Place
from tests.engine.test_store import DONE, FAR

pytestmark = pytest.mark.broker
WHY = Why("no funds", "payment", requested=False)


def refusal(place: Place, *inputs: str) -> str:
    """Why a pod won't take over."""
    with place.owner(inputs=inputs) as owner, pytest.raises(Refused) as refused:
        owner.start()
    return str(refused.value)


def test_fresh_topics_are_taken_over(place: Place) -> None:
    """A group that never committed begins at the beginning, and commits that at once: from then on it is known."""
    place.create(2)
    place.write("order.requests", 3)
    with place.owner() as owner:
        owner.start()
        owner.restored()
        assert set(owner.own.positions.values()) == {0}
        assert len(owner.own.positions) == len(place.topics.inputs) * 2
        committed = owner.consumer.committed(owner.assigned, LIMIT)
        assert [tp.offset for tp in committed] == [0] * len(owner.assigned)


def test_a_changelog_without_a_group_is_refused(place: Place) -> None:
    """The stock library skips the whole changelog here, and begins with empty state in silence."""
    place.create()
    place.write("saga.state")
    assert "has state, but the group has no committed offset for any input" in refusal(place)


def test_an_input_whose_offset_was_lost_is_refused(place: Place) -> None:
    """Its records would all be read again."""
    place.create()
    place.write("saga.state")
    place.write("order.requests", 2)
    place.commit(order_requests=-1)
    assert "order.requests[0] has records, but the group has no committed offset for it" in refusal(place)


def test_events_without_a_changelog_are_refused(place: Place) -> None:
    """State that was deleted is not taken for state that never was."""
    place.create()
    place.write("saga.events")
    assert "saga.state[0] is empty: the state was lost" in refusal(place)


def test_an_input_whose_records_were_deleted_is_refused(place: Place) -> None:
    """The stock library deletes its state here, and goes on with what is left."""
    place.create()
    place.write("order.requests", 5)
    place.commit(order_requests=2)
    before = TopicPartition(place.full("order.requests"), 0, 4)
    place.admin.delete_records([before])[before].result(LIMIT)
    assert "order.requests[0] was deleted up to 4, but the group has read it up to 2 only" in refusal(place)


def test_an_input_that_was_made_anew_is_refused(place: Place) -> None:
    """The group's offset says nothing of a topic that is shorter than it."""
    place.create()
    place.commit(order_requests=7)
    assert "order.requests[0] ends at 0, but the group has read it up to 7" in refusal(place)


def test_a_local_store_ahead_of_its_changelog_is_refused(place: Place) -> None:
    """The changelog lost records that this pod had seen committed: what they led to elsewhere is not lost."""
    place.create()
    place.write("saga.state", 2)
    place.commit()
    clients = place.clients()
    its_id = part_of(identity(AdminClient(place.client), place.changelog, LIMIT), 0)
    store = PartitionStore(clients.state_dir / clients.group / "0", its_id, 10, 10)
    store.save(store.changes(), 3)
    store.close()
    told = refusal(place)
    assert "is ahead of" in told
    assert "which has lost records since" in told


def test_a_changelog_that_was_made_anew_under_running_pods_is_refused(place: Place) -> None:
    """It has state again, of what went on; of what was under way and rested it has none."""
    place.create()
    place.write("order.requests", 1)
    place.own_once()
    place.delete_one("saga.state")
    place.create_one("saga.state", cleanup_policy="compact")
    place.write("saga.state")
    told = refusal(place)
    assert f"{place.changelog} was made anew since the group read last" in told
    assert "rebuild" in told


def test_state_of_a_changelog_that_was_made_anew_is_dropped(place: Place) -> None:
    """A folder that was left behind by former topics of the same names is no reason to refuse, and is not believed."""
    place.create()
    place.commit()
    clients = place.clients()
    store = PartitionStore(clients.state_dir / clients.group / "0", "that of former topics", 10, 10)
    store.set(b"a", DONE)
    store.save(store.changes(), 3)
    store.close()
    with place.owner() as owner:
        owner.start()
        owner.restored()
        assert (owner.own.stores[0].get(b"a"), owner.own.stores[0].offset) == (None, 0)


def test_a_pod_that_was_given_only_some_inputs_of_a_partition_is_refused(place: Place) -> None:
    """While pods of two versions of a topology are in the group, a partition's inputs can go to different pods."""
    place.create()
    told = refusal(place, place.full("order.requests"), place.full("payment.replies"))
    assert "reservation.replies[0]" in told
    assert "went to another pod than the other inputs of partition 0: stop all pods" in told


def test_an_open_transaction_of_a_former_owner_is_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the group committed is known only when it ends; a position from before would repeat its decisions."""
    place.create()
    place.write("order.requests", 3)
    place.commit()
    former = transactional_producer(place.client["bootstrap.servers"], f"{place.group}.former.0")
    with place.owner("former") as owner:
        owner.start()
        group = owner.consumer.consumer_group_metadata()
        former.begin_transaction()
        former.produce(place.full("saga.events"), b"{}")
        former.send_offsets_to_transaction([TopicPartition(place.full("order.requests"), 0, 3)], group, LIMIT)
        asked = [TopicPartition(place.full("order.requests"), 0)]
        monkeypatch.setattr(Clients, "patience", 1.0)
        with pytest.raises(Ended, match=r"not known for 1 s .*: a transaction of a former owner stays open"):
            owner.own._committed(asked)
        former.commit_transaction(LIMIT)
        assert owner.own._committed(asked) == {(asked[0].topic, 0): 3}


def keep(place: Place, *progress: Progress) -> None:
    """The changelog has these sagas, and an order waits to be read."""
    place.create()
    place.commit()
    place.write("order.requests", 1)
    for index, each in enumerate(progress):
        place.write_one("saga.state", b"o-%d" % index, encode(each))


def of_version(version: int) -> Facts:
    """The facts of a saga that began in that version."""
    return Facts("order", version, "d" * 32, 0, {}, {})


def asked(version: int) -> Progress:
    """A saga that is under way in that version."""
    return Progress(1, Running(of_version(version), None, (Asked("reservation", 1, 1, 0, FAR),)))


def test_sagas_under_way_in_a_version_that_is_gone_are_refused(place: Place) -> None:
    """Before anything is read: who could say what an answer means to them?"""
    keep(place, asked(9), asked(1), asked(9), Progress(3, Completed(of_version(8), FAR)))
    with place.owner() as owner:
        owner.start()
        with pytest.raises(UnsafeStart) as refused:
            owner.restored()
        assert owner.consumer.consume(10, 0.3) == []
    assert str(refused.value) == (
        "2 under way in order/9, but this process knows only order/1: keep their definition until they have ended"
    )


def test_sagas_under_way_in_another_definition_are_refused(place: Place) -> None:
    """Its steps may have the same names, and its version the same number, but it would go on otherwise."""
    facts = replace(of_version(1), saga="shipped-order")
    keep(place, Progress(1, Running(facts, None, (Asked("payment", 1, 1, 0, FAR),))))
    with place.owner() as owner:
        owner.start()
        with pytest.raises(UnsafeStart, match=r"1 under way in shipped-order/1, .* knows only order/1: keep"):
            owner.restored()


def test_ended_sagas_of_a_version_that_is_gone_are_no_reason_to_refuse(place: Place) -> None:
    """They are remembered as they are, and reading begins."""
    ended = Progress(3, Completed(of_version(9), FAR)), Progress(3, RolledBack(of_version(8), WHY, FAR))
    keep(place, *ended)
    with place.owner() as owner:
        owner.start()
        owner.restored()
        until(lambda: any(each.error() is None for each in owner.consumer.consume(1, 0.1)), "the order to be read")
        assert [owner.own.stores[0].get(key) for key in (b"o-0", b"o-1")] == list(ended)


def test_a_changelog_with_a_document_that_is_no_sagas_is_refused(place: Place) -> None:
    """Nothing is known of what it stands for; a document of a later version of this program is one of them."""
    keep(place, asked(1))
    later = {**orjson.loads(encode(asked(1))), "priority": 7}
    place.write_one("saga.state", b"o-9", orjson.dumps(later))
    with place.owner() as owner:
        owner.start()
        with pytest.raises(UnsafeStart) as refused:
            owner.restored()
    assert str(refused.value) == (
        f"{place.changelog}[0] has a record before offset 2 that is not a saga's state: unknown fields: "
        "another program, or another version of this one, has written there; find out which"
    )


def test_an_unsafe_start_counts_as_a_refusal() -> None:
    """The command ends with the exit code that says: change something first."""
    assert issubclass(UnsafeStart, Refused)
