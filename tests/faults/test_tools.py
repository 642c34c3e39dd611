"""The fault injection tools do what they say: a fault that never happens proves nothing."""

import importlib
import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.devkafka.support import until
from tests.engine.sandbox import Sandbox
from tests.faults.broker_roles import coordinator_of, leader_of, quorum_leader
from tests.faults.cluster import Cluster
from tests.faults.decision_watch import Recovery
from tests.faults.fault_points import POINTS, Point
from tests.faults.kafka_protocol import Api, Request, end_txn_error
from tests.faults.proxy import HEALTHY, Link
from tests.faults.results import Results

END_TXN = bytes.fromhex("001a 0001 00000007 0003") + b"pod" + bytes.fromhex("0002") + b"id" + bytes(10)


@pytest.mark.parametrize(("last", "commits"), ((b"\1", True), (b"\0", False)))
def test_an_end_txn_request_is_recognised(last: bytes, commits: bool) -> None:  # noqa: FBT001
    """With its client id, and whether it commits or aborts."""
    assert Request.parse(END_TXN + last) == Request(Api.END_TXN, "pod", commits)


def test_a_request_without_client_id_is_parsed() -> None:
    """The client id is empty; a request of another API never counts as a commit, whatever its last byte is."""
    assert Request.parse(bytes.fromhex("0000 0007 00000001 ffff 01")) == Request(Api.PRODUCE, "", commits=False)


def test_the_error_of_an_end_txn_response_is_read() -> None:
    """It follows the correlation id and the throttle time."""
    assert end_txn_error(bytes(8) + (47).to_bytes(2, "big")) == 47


@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
def test_a_fault_point_exists(point: Point) -> None:
    """A renamed method is noticed here, before a round in which no pod is killed."""
    assert callable(getattr(getattr(importlib.import_module(point.module), point.owner), point.method))


def test_a_recovery_ends_when_all_partitions_decide_after_the_healing() -> None:
    """`seconds` is the longest gap of any affected partition; decisions before the fault don't count."""
    recovery = Recovery("x", {0, 1}, begun_ms=1_000)
    recovery.on_decision(0, 900)
    recovery.on_decision(0, 1_100)
    recovery.on_decision(2, 9_000)
    recovery.healed_ms = 5_000
    recovery.on_decision(0, 5_100)
    assert recovery.seconds is None
    recovery.on_decision(1, 5_200)
    assert recovery.seconds == 4.2


def test_results_add_up() -> None:
    """Faults, recovery times at p50, p90 and maximum, and violations."""
    one, other = Results(sagas=5, rounds=1), Results(sagas=2, rounds=1, violations=["seed 1: x"])
    other.faults, other.recoveries["a"] = Counter(a=3, b=1), [3.0, 1.0, 2.0]
    one.add(other)
    assert list(one.rows()) == [("a", "3", "2.0 s", "3.0 s", "3.0 s"), ("b", "1", "-", "-", "-")]
    assert one.summary().startswith("4 faults in 2 rounds, 7 sagas audited")
    assert one.summary().endswith("1 violations")


def admin(cluster: Cluster) -> AdminClient:
    """An admin client behind the proxy that reconnects quickly."""
    quick = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 0}
    return AdminClient({"bootstrap.servers": cluster.network.bootstrap, **quick})


def answers(client: AdminClient, seconds: float = 1.0) -> bool:
    """Whether a broker answers in time."""
    try:
        return bool(client.list_topics(timeout=seconds).brokers)
    except KafkaException:
        return False


@pytest.mark.broker
@pytest.mark.parametrize("link", (Link(open=False), Link(requests=False), Link(responses=False), Link(breaks=1)))
def test_a_broken_link_forwards_nothing_until_it_is_healthy_again(cluster: Cluster, link: Link) -> None:
    """However frames are lost, no broker answers; once the link is healthy again, one does."""
    client = admin(cluster)
    assert answers(client, 10)
    try:
        cluster.network.change(link)
        assert not answers(client)
    finally:
        cluster.network.change(HEALTHY)
    until(lambda: answers(admin(cluster)), "a broker to answer")


@pytest.mark.broker
def test_a_slow_link_delays_both_ways(cluster: Cluster) -> None:
    """The delay applies to requests and responses."""
    client = admin(cluster)
    assert answers(client, 10)
    try:
        cluster.network.change(Link(delay=0.2))
        begun = time.monotonic()
        assert answers(client, 10)
        assert time.monotonic() - begun >= 0.4
    finally:
        cluster.network.change(HEALTHY)


@pytest.mark.broker
def test_broker_roles_are_found(cluster: Cluster, topic_prefix: str, tmp_path: Path) -> None:
    """A single broker has all roles, once its coordinators were used."""
    sandbox = Sandbox(cluster.kafka.bootstrap, topic_prefix, tmp_path)
    sandbox.create()
    sandbox.join_once()
    assert quorum_leader(cluster.kafka.brokers[0].address) == 1
    assert leader_of(sandbox.admin, sandbox.changelog, 0) == 1
    assert coordinator_of(sandbox.admin, "__consumer_offsets", sandbox.group) == 1
