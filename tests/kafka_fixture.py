"""Fixtures for tests on a real Kafka: one broker for the whole run, and topic names of its own for each test."""

import os
import secrets
from collections.abc import Iterator

import pytest

from app.devkafka import LocalKafka


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """The bootstrap servers: SAGA_KAFKA_BOOTSTRAP if set, else a Kafka of this run, started when first asked for."""
    if given := os.environ.get("SAGA_KAFKA_BOOTSTRAP"):
        yield given
        return
    with LocalKafka() as kafka:
        yield kafka.bootstrap


@pytest.fixture
def topic_prefix() -> str:
    """A prefix no other test has, for topics, groups and transactional ids; printed, so that a failure names it."""
    prefix = f"t-{secrets.token_hex(6)}."
    print(f"topic prefix: {prefix}")  # noqa: T201 - pytest shows it with a failure
    return prefix
