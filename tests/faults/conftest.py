"""Fixtures for fault tests: the engine's `sandbox`, and the same on the cluster behind the proxy."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import sandbox
from tests.engine.group_member import GroupMember
from tests.engine.sandbox import Sandbox
from tests.faults.cluster import Cluster

__all__ = ["sandbox"]


@pytest.fixture
def cluster(kafka_cluster: Cluster) -> Cluster:
    """The Kafka of this test run, and the proxy before it."""
    return kafka_cluster


@pytest.fixture
def direct(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> Sandbox:
    """Topics on that cluster, whose clients connect to the brokers directly."""
    return Sandbox(cluster.kafka.bootstrap, topic_prefix, tmp_path)


@pytest.fixture
def member(direct: Sandbox) -> Iterator[GroupMember]:
    """A group member there that owns partition 0 of all inputs."""
    direct.create()
    with direct.member() as joined:
        joined.join()
        yield joined
