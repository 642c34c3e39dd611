"""The saga's topics on the brokers: created, and checked before anything is read."""

import re
import time

import pytest

from app.engine.errors import NeedsOperator, NeedsRestart
from app.engine.kafka import topics_admin
from app.engine.kafka.topics_admin import FoundTopic, _flaws
from app.wire.topics import EVENTS, REQUESTS, STATE, Topic
from tests.engine.sandbox import Sandbox

LARGE = {"max.message.bytes": "1048588", "delete.retention.ms": "86400000"}


def valid_topic(topic: Topic, replicas: int = 3, **config: str) -> FoundTopic:
    """A topic that passes the check, except for these settings."""
    return topic_with(topic, replicas, config)


def topic_with(topic: Topic, replicas: int, config: dict[str, str]) -> FoundTopic:
    """The same, with the settings as a table."""
    settings = {name.replace("_", "."): value for name, value in config.items()}
    return FoundTopic(topic.name, 4, replicas, {**LARGE, **topic.config, **settings})


@pytest.mark.parametrize("topic", (REQUESTS, EVENTS, STATE))
def test_a_correct_topic_passes(topic: Topic) -> None:
    """The check accepts what `saga topics create` creates."""
    assert list(_flaws(topic, valid_topic(topic), 3)) == []


@pytest.mark.parametrize(
    ("topic", "config", "sentence"),
    (
        (STATE, {"cleanup_policy": "delete"}, r"saga\.state has cleanup\.policy=delete, .*: set it to compact"),
        (STATE, {"cleanup_policy": "compact,delete"}, "set it to compact"),
        (EVENTS, {"cleanup_policy": "compact"}, r"saga\.events has cleanup\.policy=compact, .*: set it to delete"),
        (EVENTS, {"retention_ms": "604800000"}, r"retention\.ms=604800000, which can lose .*: set it to -1"),
        (REQUESTS, {"cleanup_policy": "compact"}, "set it to delete"),
        (REQUESTS, {"max_message_bytes": "100000"}, r"order\.requests has max\.message\.bytes=100000"),
        (STATE, {"delete_retention_ms": "43199999"}, r"may miss tombstones: set it to 43200000 at least"),
        (STATE, {"max_message_bytes": "999999"}, "a larger record would stop every pod"),
    ),
)  # fmt: skip
def test_a_setting_that_could_lose_something_is_refused(topic: Topic, config: dict[str, str], sentence: str) -> None:
    """The sentence names the setting and the value it needs."""
    (flaw,) = _flaws(topic, topic_with(topic, 3, config), 3)
    assert re.search(sentence, flaw)


def test_too_few_replicas_are_refused() -> None:
    """The number in the setting is enough."""
    assert list(_flaws(REQUESTS, valid_topic(REQUESTS, replicas=2), 2)) == []
    (one,) = _flaws(REQUESTS, valid_topic(REQUESTS, replicas=1), 2)
    assert re.search(r"order\.requests has 1 replica, fewer than 2: .*SAGA_MIN_REPLICATION", one)
    (two,) = _flaws(REQUESTS, valid_topic(REQUESTS, replicas=2), 3)
    assert "has 2 replicas, fewer than 3" in two


def test_all_flaws_of_a_topic_are_found() -> None:
    """A person corrects them in one go."""
    wrong = valid_topic(STATE, 1, cleanup_policy="delete", max_message_bytes="1", delete_retention_ms="1")
    assert len(list(_flaws(STATE, wrong, 3))) == 4


def check(sandbox: Sandbox, min_replicas: int = 1) -> int:
    """The check that a pod makes when it starts."""
    return topics_admin.check(sandbox.client, sandbox.topics, min_replicas)


@pytest.mark.broker
def test_created_topics_pass(sandbox: Sandbox) -> None:
    """The check returns the partition count."""
    created, existing = topics_admin.create(sandbox.client, sandbox.topics, 3, 1)
    assert (len(created), existing) == (len(sandbox.topics.all), [])
    assert check(sandbox) == 3


@pytest.mark.broker
def test_missing_topics_are_created_and_the_others_left_alone(sandbox: Sandbox) -> None:
    """A topic that was created in another way keeps its settings, and is reported as existing."""
    sandbox.create_one("order.requests", 2, retention_ms="12345678")
    created, existing = topics_admin.create(sandbox.client, sandbox.topics, 2, 1)
    assert existing == [sandbox.full("order.requests")]
    assert len(created) == len(sandbox.topics.all) - 1
    assert sandbox.config("order.requests")["retention.ms"] == "12345678"
    assert topics_admin.create(sandbox.client, sandbox.topics, 2, 1) == (
        [],
        [sandbox.full(each.name) for each in sandbox.topics.all],
    )


@pytest.mark.broker
def test_concurrent_creation_of_topics_is_no_error(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that another process created in between is reported as existing; it is no error."""
    sandbox.create_one("order.requests", 2)
    found_before = topics_admin._first_contact(sandbox.client, local=False)
    found_before[1].pop(sandbox.full("order.requests"))
    monkeypatch.setattr(topics_admin, "_first_contact", lambda *_, **__: found_before)
    created, existing = topics_admin.create(sandbox.client, sandbox.topics, 2, 1)
    assert existing == [sandbox.full("order.requests")]
    assert len(created) == len(sandbox.topics.all) - 1


@pytest.mark.broker
def test_more_replicas_than_brokers_are_refused(sandbox: Sandbox) -> None:
    """The error passes on the broker's reason."""
    with pytest.raises(NeedsOperator, match=r"could not be created: .*replication factor"):
        topics_admin.create(sandbox.client, sandbox.topics, 1, 99)


@pytest.mark.broker
def test_missing_topics_are_refused(sandbox: Sandbox) -> None:
    """By name, unless every topic is missing."""
    with pytest.raises(NeedsOperator, match="missing on the brokers: every topic of the prefix"):
        check(sandbox)
    sandbox.create()
    sandbox.delete_one("saga.events")
    with pytest.raises(
        NeedsOperator, match=rf"missing on the brokers: {sandbox.full('saga.events')}; create the topics with"
    ):
        check(sandbox)


@pytest.mark.broker
def test_unequal_partition_counts_are_refused(sandbox: Sandbox) -> None:
    """An order's replies would be in another partition than its state."""
    sandbox.create_one("payment.replies", 3)
    for topic in sandbox.topics.all:
        if topic.name != "payment.replies":
            sandbox.create_one(topic.name, 2, **{key.replace(".", "_"): each for key, each in topic.config.items()})
    with pytest.raises(
        NeedsOperator, match=r"all topics need the same number of partitions, but have: .*payment\.replies 3"
    ):
        check(sandbox)


@pytest.mark.broker
def test_a_changelog_that_deletes_is_refused(sandbox: Sandbox) -> None:
    """quixstreams itself accepts any existing changelog, and loses state when the retention is over."""
    sandbox.create()
    sandbox.alter("saga.state", "cleanup.policy", "delete")
    with pytest.raises(NeedsOperator, match=r"saga\.state has cleanup\.policy=delete"):
        check(sandbox)


@pytest.mark.broker
def test_too_few_replicas_on_the_broker_are_refused(sandbox: Sandbox) -> None:
    """One broker can hold only one replica."""
    sandbox.create()
    with pytest.raises(NeedsOperator, match="has 1 replica, fewer than 2"):
        check(sandbox, min_replicas=2)


def test_without_a_broker_a_pod_ends_in_time(monkeypatch: pytest.MonkeyPatch, sandbox_without_broker: Sandbox) -> None:
    """The pod gives up after a limit; its next start may find a broker."""
    monkeypatch.setattr(topics_admin, "_SECONDS", 1.0)
    begun = time.monotonic()
    with pytest.raises(NeedsRestart, match=r"no Kafka broker answered at 127\.0\.0\.1:1 within 1 s"):
        check(sandbox_without_broker)
    assert time.monotonic() - begun < 5
