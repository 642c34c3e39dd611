"""StateCheck finds a store that differs from the changelog."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from app.audit.recording.from_kafka import read
from app.audit.spec import spec_of
from app.demo.stage import Stage
from app.engine.assignment.start_offsets import partition_identity, topic_id
from app.engine.state.store import PartitionStore
from app.ops.kafka_cluster import KafkaCluster
from tests.broker.participant_replies import complete
from tests.broker.pods import Site, site
from tests.engine.state.test_store import DONE
from tests.faults.state_check import StateCheck
from topologies.__main__ import SAGAS

pytestmark = pytest.mark.broker


def recorded_states(at: Site) -> StateCheck:
    """The states in a site's changelog as of this call."""
    saga = SAGAS["order"]
    cluster = KafkaCluster(at.client["bootstrap.servers"], at.topics.prefix)
    stage = Stage(cluster, at.topics, spec_of(saga), {})
    return StateCheck(stage, saga, read(at.client, at.topics.prefix, at.group, stage.terms))


def test_stored_and_restored_states_are_compared(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """No differences after a run; a saga that is changed or added on one disk is reported by its id."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running()
        at.place("o")
        complete(at, "o", "reservation", "payment")
        assert pod.stop() == 0
        state_dir = at.children.state_of("pod")
        assert list(recorded_states(at).differences([state_dir])) == []
        changelog = topic_id(AdminClient(at.client), at.topics.full("saga.state"), 10)
        store = PartitionStore(state_dir / at.group / "0", partition_identity(changelog, 0), 10, 10)
        store.set(b"o", DONE)
        store.set(b"another", DONE)
        store.save(store.take_changes(), store.offset)
        store.close()
        found = list(recorded_states(at).differences([state_dir]))
    assert [line.split(": ")[2] for line in found if ": store: " in line] == ["o", "another"]
    assert all(str(state_dir) in line for line in found)
