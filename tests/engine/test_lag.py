"""What the group has committed is what there is to read, and never goes back."""

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from tests.broker.pods import placed, said, site
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.owner import Place

pytestmark = pytest.mark.broker


def test_an_idle_orchestrator_has_no_lag(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Also when an input ends with the marker of a transaction, over which no record's position steps."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        shop = transactional_producer(kafka_bootstrap, at.topics.full("shop"))
        shop.begin_transaction()
        shop.produce(at.topics.full("order.requests"), placed("o"), b"o", 0, headers=said("order.place", "o"))
        shop.commit_transaction(LIMIT)
        at.await_events("o", "saga.step.requested")
        assert at.ends("order.requests") == 2  # a record and its marker
        until(lambda: at.committed("order.requests") == 2, "a lag of 0")
        shop.begin_transaction()
        shop.produce(at.topics.full("order.requests"), b"", b"o", 0)
        shop.flush(LIMIT)
        shop.abort_transaction(LIMIT)  # leaves nothing but markers
        until(lambda: at.committed("order.requests") == at.ends("order.requests") > 2, "a lag of 0")


def test_an_offset_committed_beside_a_transaction_takes_the_group_back(place: Place) -> None:
    """Why positions that step over markers go into a transaction too: a plain commit that is late wins over it."""
    place.create()
    with place.owner() as owner:
        owner.start()
        owner.restored()
        lane = transactional_producer(place.client["bootstrap.servers"], f"{place.group}.x")
        at = TopicPartition(place.full("order.requests"), 0, 105)
        lane.begin_transaction()
        lane.send_offsets_to_transaction([at], owner.own.group, LIMIT)
        owner.consumer.commit(offsets=[TopicPartition(at.topic, 0, 101)], asynchronous=False)
        lane.commit_transaction(LIMIT)
        assert owner.consumer.committed([at], LIMIT)[0].offset == 101
