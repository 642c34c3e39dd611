"""One guarded broker for all tests of this room, and topics on it."""

import secrets
from collections.abc import Iterator

import pytest

from app.engine import admin
from app.saga.versions import Versions
from app.wire.rights import Rights
from app.wire.topics import Topics
from tests.security.guarded import Guarded, guarded
from tests.security.permitted import Permitted
from topologies.order import ORDER


@pytest.fixture(scope="package")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """A Kafka with access rules, encrypted listeners, and users with passwords."""
    with guarded(tmp_path_factory.mktemp("guarded")) as made:
        yield made


@pytest.fixture(scope="module")
def site(broker: Guarded) -> Permitted:
    """Topics made by somebody who may make them."""
    prefix = f"t-{secrets.token_hex(6)}."
    topics = Topics(Versions((ORDER,)), prefix)
    admin.create({"bootstrap.servers": broker.plain, "log_level": 2}, topics, 1, 1)
    return Permitted(broker, Rights(topics, f"{prefix}saga-orchestrator"))
