"""The means by which faults are injected do what they say; a fault that never happens proves nothing."""

import importlib
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.devkafka.support import until
from tests.engine.owner import Place
from tests.faults.at import POINTS, Point
from tests.faults.cluster import Cluster
from tests.faults.frames import Api, Request, end_error
from tests.faults.proxy import CALM, Weather
from tests.faults.pulse import Recovery
from tests.faults.roles import coordinator_of, leader_of, quorum_leader
from tests.faults.tally import Tally

END = bytes.fromhex("001a 0001 00000007 0003") + b"pod" + bytes.fromhex("0002") + b"id" + bytes(10)


@pytest.mark.parametrize(("last", "commits"), ((b"\1", True), (b"\0", False)))
def test_the_end_of_a_transaction_is_known_on_the_wire(last: bytes, commits: bool) -> None:  # noqa: FBT001
    """Whose it is, and whether it is to be committed or aborted."""
    assert Request.of(END + last) == Request(Api.END_TXN, "pod", commits)


def test_a_client_without_a_name_is_known_too() -> None:
    """Its name is empty; other requests commit nothing, whatever their last byte is."""
    assert Request.of(bytes.fromhex("0000 0007 00000001 ffff 01")) == Request(Api.PRODUCE, "", commits=False)


def test_the_error_of_an_end_is_read() -> None:
    """After correlation id and throttle time."""
    assert end_error(bytes(8) + (47).to_bytes(2, "big")) == 47


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_point_is_where_it_is_said_to_be(point: Point) -> None:
    """A method that was renamed is noticed before a run in which nobody dies."""
    assert callable(getattr(getattr(importlib.import_module(point.module), point.owner), point.method))


def test_a_recovery_ends_when_all_partitions_went_on_after_the_healing() -> None:
    """It tells the longest time in which one of them stood still; decisions of before count for nothing."""
    recovery = Recovery("x", {0, 1}, begun_ms=1_000)
    recovery.note(0, 900)
    recovery.note(0, 1_100)
    recovery.note(2, 9_000)
    recovery.healed_ms = 5_000
    recovery.note(0, 5_100)
    assert recovery.seconds is None
    recovery.note(1, 5_200)
    assert recovery.seconds == 4.2


def test_a_tally_adds_up() -> None:
    """Faults, the times to recover in half, nine in ten and all of them, and what broke."""
    one, other = Tally(sagas=5, rounds=1), Tally(sagas=2, rounds=1, broken=["seed 1: x"])
    other.faults, other.recoveries["a"] = Counter(a=3, b=1), [3.0, 1.0, 2.0]
    one.add(other)
    assert list(one.rows()) == [("a", "3", "2.0 s", "3.0 s", "3.0 s"), ("b", "1", "-", "-", "-")]
    assert one.verdict().startswith("4 faults in 2 rounds, 7 sagas proved")
    assert one.verdict().endswith("1 invariants broken")


def admin(cluster: Cluster) -> AdminClient:
    """A client behind the network, of little patience with lost connections."""
    quick = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0}
    return AdminClient({"bootstrap.servers": cluster.network.bootstrap, **quick})


def answers(client: AdminClient, seconds: float = 1.0) -> bool:
    """Whether a broker answers in time."""
    try:
        return bool(client.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


@pytest.mark.broker
@pytest.mark.parametrize(
    "weather", (Weather(open=False), Weather(asks=False), Weather(answers=False), Weather(breaks=1))
)
def test_bad_weather_lets_nothing_through_and_passes(cluster: Cluster, weather: Weather) -> None:
    """Whatever way frames are lost, no broker answers; when it is over, one does again."""
    client = admin(cluster)
    assert answers(client, 10)
    try:
        cluster.network.change(weather)
        assert not answers(client)
    finally:
        cluster.network.change(CALM)
    until(lambda: answers(admin(cluster)), "a broker to answer")


@pytest.mark.broker
def test_a_slow_link_takes_its_time(cluster: Cluster) -> None:
    """Both ways."""
    client = admin(cluster)
    assert answers(client, 10)
    try:
        cluster.network.change(Weather(delay=0.2))
        begun = time.monotonic()
        assert answers(client, 10)
        assert time.monotonic() - begun >= 0.4
    finally:
        cluster.network.change(CALM)


@pytest.mark.broker
def test_roles_are_known(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> None:
    """A single broker has them all, once somebody has used its coordinators."""
    place = Place(cluster.kafka.bootstrap, topic_prefix, tmp_path)
    place.create()
    place.own_once()
    assert quorum_leader(cluster.kafka.brokers[0].address) == 1
    assert leader_of(place.admin, place.changelog, 0) == 1
    assert coordinator_of(place.admin, "__consumer_offsets", place.group) == 1
