"""One guarded broker for all tests of this package, and topics on it."""

import secrets
from collections.abc import Iterator

import pytest

from app.engine.kafka import topics_admin
from app.saga.versions import Versions
from app.wire.acls import Acls
from app.wire.topics import Topics
from tests.security.guarded import Guarded, guarded
from tests.security.secured_topics import SecuredTopics
from topologies.order import ORDER


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A Kafka with ACLs, encrypted listeners, and users with passwords."""
    with guarded(tmp_path_factory.mktemp("guarded")) as started:
        yield started


@pytest.fixture(scope="module")
def secured(broker: Guarded) -> SecuredTopics:
    """Topics of one saga, created by the super user."""
    prefix = f"t-{secrets.token_hex(6)}."
    topics = Topics(Versions((ORDER,)), prefix)
    topics_admin.create({"bootstrap.servers": broker.plain, "log_level": 2}, topics, 1, 1)
    return SecuredTopics(broker, Acls(topics, f"{prefix}saga-orchestrator"))
