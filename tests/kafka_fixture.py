"""Fixtures of tests on a real Kafka: one broker for each test process, and a topic prefix for each test."""

import os
import secrets
from collections.abc import Iterator

import pytest

from tests.faults.cluster import Cluster, cluster_of


@pytest.fixture(scope="session")
def kafka_cluster() -> Iterator[Cluster]:
    """A Kafka for this test process, started at its first use, behind a network that tests can disturb."""
    with cluster_of(1, seed=1) as found:
        yield found


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """The bootstrap servers: SAGA_KAFKA_BOOTSTRAP if set, else those of `kafka_cluster`."""
    given = os.environ.get("SAGA_KAFKA_BOOTSTRAP")
    return given or request.getfixturevalue("kafka_cluster").kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """A unique prefix for topics, groups and transactional ids; printed, so that a failure shows it."""
    prefix = f"t-{secrets.token_hex(6)}."
    print(f"topic prefix: {prefix}")  # noqa: T201 - pytest shows it with a failure
    return prefix
