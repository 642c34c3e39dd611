"""Places for tests of faults: the engine's, and one on the cluster that has a network before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import place
from tests.engine.owner import Owner, Place
from tests.faults.cluster import Cluster

__all__ = ["place"]


@pytest.fixture
def cluster(kafka_cluster: Cluster) -> Cluster:
    """The run's own, with a network before it."""
    return kafka_cluster


@pytest.fixture
def near(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> Place:
    """On the cluster, past the network."""
    return Place(cluster.kafka.bootstrap, topic_prefix, tmp_path)


@pytest.fixture
def owner(near: Place) -> Iterator[Owner]:
    """A member there, with partition 0 of all inputs."""
    near.create()
    with near.owner() as member:
        member.start()
        yield member
