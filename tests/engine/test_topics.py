"""The saga's topics on the brokers: made, and checked before anything is read."""

import time

import pytest

from app.engine import admin
from app.engine.admin import Found, _check_topic
from app.engine.errors import Ended, Refused
from app.wire.topics import EVENTS, REQUESTS, STATE, Topic
from tests.engine.owner import Place

LARGE = {"max.message.bytes": "1048588", "delete.retention.ms": "86400000"}


def found(topic: Topic, replicas: int = 3, **config: str) -> Found:
    """A topic as it should be, but for this."""
    return with_config(topic, replicas, config)


def with_config(topic: Topic, replicas: int, config: dict[str, str]) -> Found:
    """The same, with settings as a table."""
    given = {name.replace("_", "."): value for name, value in config.items()}
    return Found(topic.name, 4, replicas, {**LARGE, **topic.config, **given})


@pytest.mark.parametrize("topic", (REQUESTS, EVENTS, STATE))
def test_a_topic_as_it_should_be_passes(topic: Topic) -> None:
    """What `saga topics create` makes is what the check wants."""
    _check_topic(topic, found(topic), 3)


@pytest.mark.parametrize(
    ("topic", "wrong", "sentence"),
    (
        (STATE, {"cleanup_policy": "delete"}, r"saga\.state has cleanup\.policy=delete, .*: set it to compact"),
        (STATE, {"cleanup_policy": "compact,delete"}, "set it to compact"),
        (EVENTS, {"cleanup_policy": "compact"}, r"saga\.events has cleanup\.policy=compact, .*: set it to delete"),
        (EVENTS, {"retention_ms": "604800000"}, r"retention\.ms=604800000, which can lose .*: set it to -1"),
        (REQUESTS, {"cleanup_policy": "compact"}, "set it to delete"),
        (REQUESTS, {"max_message_bytes": "100000"}, r"order\.requests has max\.message\.bytes=100000"),
        (STATE, {"delete_retention_ms": "43199999"}, r"may not see what was deleted: set it to 43200000 at least"),
        (STATE, {"max_message_bytes": "999999"}, "a record that is larger would end every pod"),
    ),
)  # fmt: skip
def test_a_setting_that_could_lose_something_is_refused(topic: Topic, wrong: dict[str, str], sentence: str) -> None:
    """It says which, and to what to change it."""
    with pytest.raises(Refused, match=sentence):
        _check_topic(topic, with_config(topic, 3, wrong), 3)


def test_too_few_replicas_are_refused() -> None:
    """As many as the setting asks for are enough."""
    _check_topic(REQUESTS, found(REQUESTS, replicas=2), 2)
    with pytest.raises(Refused, match=r"order\.requests has 1 replica, fewer than 2: .*SAGA_MIN_REPLICATION"):
        _check_topic(REQUESTS, found(REQUESTS, replicas=1), 2)
    with pytest.raises(Refused, match="has 2 replicas, fewer than 3"):
        _check_topic(REQUESTS, found(REQUESTS, replicas=2), 3)


def check(place: Place, min_replicas: int = 1) -> int:
    """The check of a pod that starts."""
    return admin.check(place.client, place.topics, min_replicas)


@pytest.mark.broker
def test_what_was_made_passes(place: Place) -> None:
    """It gives the number of partitions."""
    made, there = admin.create(place.client, place.topics, 3, 1)
    assert (len(made), there) == (len(place.topics.all), [])
    assert check(place) == 3


@pytest.mark.broker
def test_missing_topics_are_made_and_the_others_left_alone(place: Place) -> None:
    """A topic that somebody made in another way keeps its settings, and is told as there."""
    place.create_one("order.requests", 2, retention_ms="12345678")
    made, there = admin.create(place.client, place.topics, 2, 1)
    assert there == [place.full("order.requests")]
    assert len(made) == len(place.topics.all) - 1
    assert place.config("order.requests")["retention.ms"] == "12345678"
    assert admin.create(place.client, place.topics, 2, 1) == ([], [place.full(each.name) for each in place.topics.all])


@pytest.mark.broker
def test_two_that_make_topics_at_the_same_time_agree(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic that another one made in between is there, and no reason to fail."""
    place.create_one("order.requests", 2)
    found_before = admin._there(place.client, local=False)
    found_before[1].pop(place.full("order.requests"))
    monkeypatch.setattr(admin, "_there", lambda *_, **__: found_before)
    made, there = admin.create(place.client, place.topics, 2, 1)
    assert there == [place.full("order.requests")]
    assert len(made) == len(place.topics.all) - 1


@pytest.mark.broker
def test_more_replicas_than_brokers_are_refused(place: Place) -> None:
    """The broker's reason is passed on."""
    with pytest.raises(Refused, match=r"could not be made: .*replication factor"):
        admin.create(place.client, place.topics, 1, 99)


@pytest.mark.broker
def test_missing_topics_are_refused(place: Place) -> None:
    """By name, unless all are missing."""
    with pytest.raises(Refused, match="missing on the brokers: every topic of the prefix"):
        check(place)
    place.create()
    place.delete_one("saga.events")
    with pytest.raises(Refused, match=rf"missing on the brokers: {place.full('saga.events')}; create the topics with"):
        check(place)


@pytest.mark.broker
def test_unequal_numbers_of_partitions_are_refused(place: Place) -> None:
    """Replies would be looked for where their orders are not."""
    place.create_one("payment.replies", 3)
    for topic in place.topics.all:
        if topic.name != "payment.replies":
            place.create_one(topic.name, 2, **{key.replace(".", "_"): each for key, each in topic.config.items()})
    with pytest.raises(Refused, match=r"all topics need the same number of partitions, but have: .*payment\.replies 3"):
        check(place)


@pytest.mark.broker
def test_a_changelog_that_deletes_is_refused(place: Place) -> None:
    """The stock library takes any changelog that is there, and loses state when its retention is over."""
    place.create()
    place.alter("saga.state", "cleanup.policy", "delete")
    with pytest.raises(Refused, match=r"saga\.state has cleanup\.policy=delete"):
        check(place)


@pytest.mark.broker
def test_too_few_replicas_on_the_broker_are_refused(place: Place) -> None:
    """With one broker there is one replica."""
    place.create()
    with pytest.raises(Refused, match="has 1 replica, fewer than 2"):
        check(place, min_replicas=2)


def test_no_broker_ends_a_pod_within_its_time(monkeypatch: pytest.MonkeyPatch, place_without_broker: Place) -> None:
    """It is not waited for without end, and a next life may find it."""
    monkeypatch.setattr(admin, "_SECONDS", 1.0)
    begun = time.monotonic()
    with pytest.raises(Ended, match=r"no Kafka broker answered at 127\.0\.0\.1:1 within 1 s"):
        check(place_without_broker)
    assert time.monotonic() - begun < 5
