"""The stage of a demo on an existing Kafka."""

import pytest
from confluent_kafka.admin import AdminClient

from app.demo.stage import set_stage
from app.saga.versions import Versions
from tests.devkafka.support import until
from topologies.order import ORDER

pytestmark = pytest.mark.broker


def test_topics_are_deleted_from_an_existing_kafka(kafka_bootstrap: str) -> None:
    """The topics exist during the run, and are deleted after it."""
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    with set_stage(Versions((ORDER,)), kafka_bootstrap, 1, print) as stage:
        mine = {stage.topics.full(topic) for topic in stage.topics.all}
        until(lambda: mine <= admin.list_topics(timeout=10).topics.keys(), "the topics")
    until(lambda: not mine & admin.list_topics(timeout=10).topics.keys(), "the topics to be deleted")
