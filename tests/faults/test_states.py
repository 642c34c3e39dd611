"""A store that holds something else than the changelog is found out."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from app.audit.read import read
from app.audit.terms import terms_of
from app.demo.stage import Stage
from app.engine.offsets import identity, part_of
from app.engine.store import PartitionStore
from app.ops import site as ops_site
from tests.broker.hands import complete
from tests.broker.pods import Site, site
from tests.engine.test_store import DONE
from tests.faults.states import States
from topologies.__main__ import SAGAS

pytestmark = pytest.mark.broker


def states(at: Site) -> States:
    """What the changelog of a site holds now."""
    saga = SAGAS["order"]
    place = ops_site.Site(at.client["bootstrap.servers"], at.topics.prefix)
    stage = Stage(place, at.topics, terms_of(saga), {})
    return States(stage, saga, read(at.client, at.topics.prefix, at.group, stage.terms))


def test_warm_and_cold_states_are_compared(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Equal after a run; a saga that is changed, or there in addition, on a disk alone is told by name."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running()
        at.place("o")
        complete(at, "o", "reservation", "payment")
        assert pod.stop() == 0
        home = at.children.state_of("pod")
        assert list(states(at).wrong([home])) == []
        changelog = identity(AdminClient(at.client), at.topics.full("saga.state"), 10)
        store = PartitionStore(home / at.group / "0", part_of(changelog, 0), 10, 10)
        store.set(b"o", DONE)
        store.set(b"another", DONE)
        store.save(store.changes(), store.offset)
        store.close()
        told = list(states(at).wrong([home]))
    assert [line.split(": ")[2] for line in told if ": store: " in line] == ["o", "another"]
    assert all(str(home) in line for line in told)
