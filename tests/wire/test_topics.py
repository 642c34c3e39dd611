"""The table of topics."""

import pytest

from app.saga.definition import Saga
from app.wire.topics import DEAD_LETTERS, EVENTS, OPERATIONS, OUTCOMES, REQUESTS, STATE, Topics
from tests.saga.steps import step
from topologies.order import ORDER

CONTRACT = {
    "order.requests": ("shops, gateways", "orchestrator", {"cleanup.policy": "delete"}),
    "order.outcomes": ("orchestrator", "shops, gateways", {"cleanup.policy": "delete"}),
    "reservation.commands": ("orchestrator", "reservation service", {"cleanup.policy": "delete"}),
    "reservation.replies": ("reservation service", "orchestrator", {"cleanup.policy": "delete"}),
    "payment.commands": ("orchestrator", "payment service", {"cleanup.policy": "delete"}),
    "payment.replies": ("payment service", "orchestrator", {"cleanup.policy": "delete"}),
    "saga.operations": ("operators", "orchestrator", {"cleanup.policy": "delete"}),
    "saga.events": ("orchestrator", "read side, auditors", {"cleanup.policy": "delete", "retention.ms": "-1"}),
    "saga.state": ("orchestrator", "orchestrator", {"cleanup.policy": "compact"}),
    "saga.dead-letters": ("orchestrator", "operators", {"cleanup.policy": "delete"}),
}


def test_the_table_is_the_contracts() -> None:
    """Each topic once, with its writer, its reader and its configuration."""
    known = Topics(ORDER).all
    assert {topic.name: (topic.writer, topic.reader, topic.config) for topic in known} == CONTRACT
    assert len(known) == len(CONTRACT)


def test_each_topic_is_an_input_or_an_output() -> None:
    """Except for the changelog."""
    topics = Topics(ORDER)
    read, written = {topic.name for topic in topics.inputs}, {topic.name for topic in topics.outputs}
    assert read == {name for name, (_, reader, _) in CONTRACT.items() if reader == "orchestrator"} - {STATE.name}
    assert written == {name for name, (writer, _, _) in CONTRACT.items() if writer == "orchestrator"} - {STATE.name}
    assert {topic.name for topic in topics.commands} == {"reservation.commands", "payment.commands"}


@pytest.mark.parametrize("topic", (REQUESTS, OUTCOMES, OPERATIONS, EVENTS, STATE, DEAD_LETTERS))
def test_a_prefix_stands_before_every_name(topic: object) -> None:
    """On the brokers only: in the code a topic keeps its name."""
    topics = Topics(ORDER, "test-1.")
    assert {topics.full(known) for known in topics.all} == {f"test-1.{name}" for name in CONTRACT}
    assert topics.full(getattr(topic, "name", "")) == f"test-1.{getattr(topic, 'name', '')}"
    assert {known.name for known in topics.all} == set(CONTRACT)


def test_another_saga_has_topics_of_its_own_steps() -> None:
    """No step of the order saga is built in."""
    names = {topic.name for topic in Topics(Saga("parcels", 1, (step("parcel"),))).all}
    assert names == {name for name in CONTRACT if name.split(".")[0] in ("order", "saga")} | {
        "parcel.commands",
        "parcel.replies",
    }
