"""The group's lag: it is 0 once everything is read, and committed offsets never go back."""

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from tests.broker.pods import placed, said, site
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.sandbox import Sandbox

pytestmark = pytest.mark.broker


def test_an_idle_orchestrator_has_no_lag(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Even if an input ends with a transaction marker, which no record's position passes."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running()
        producer = transactional_producer(kafka_bootstrap, at.topics.full("shop"))
        producer.begin_transaction()
        producer.produce(at.topics.full("order.requests"), placed("o"), b"o", 0, headers=said("order.place", "o"))
        producer.commit_transaction(LIMIT)
        at.await_events("o", "saga.step.requested")
        assert at.ends("order.requests") == 2  # one record and its marker
        until(lambda: at.committed("order.requests") == 2, "a lag of 0")
        producer.begin_transaction()
        producer.produce(at.topics.full("order.requests"), b"", b"o", 0)
        producer.flush(LIMIT)
        producer.abort_transaction(LIMIT)  # leaves only markers
        until(lambda: at.committed("order.requests") == at.ends("order.requests") > 2, "a lag of 0")


def test_an_offset_committed_outside_a_transaction_takes_the_group_back(sandbox: Sandbox) -> None:
    """Why positions that step over markers are committed in a transaction too: a late plain commit would win."""
    sandbox.create()
    with sandbox.member() as member:
        member.join()
        member.finish_restore()
        producer = transactional_producer(sandbox.client["bootstrap.servers"], f"{sandbox.group}.x")
        at = TopicPartition(sandbox.full("order.requests"), 0, 105)
        producer.begin_transaction()
        producer.send_offsets_to_transaction([at], member.assigned.group, LIMIT)
        member.consumer.commit(offsets=[TopicPartition(at.topic, 0, 101)], asynchronous=False)
        producer.commit_transaction(LIMIT)
        assert member.consumer.committed([at], LIMIT)[0].offset == 101
