"""Fixtures for tests on a real Kafka: a broker for each process of the run, topic names of its own for each test."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster, cluster_of


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[Cluster]:
    """A Kafka of this process, started when first asked for, with a network before it that does as it is told."""
    with cluster_of(1, seed=1) as found:
        yield found


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """The bootstrap servers: SAGA_KAFKA_BOOTSTRAP if set, else those of this run's own Kafka."""
    given = os.environ.get("SAGA_KAFKA_BOOTSTRAP")
    return given or request.getfixturevalue("kafka_cluster").kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """A prefix no other test has, for topics, groups and transactional ids; printed, so that a failure names it."""
    prefix = f"t-{secrets.token_hex(6)}."
    print(f"topic prefix: {prefix}")  # noqa: T201 - pytest shows it with a failure
    return prefix
