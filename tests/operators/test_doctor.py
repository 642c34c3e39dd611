"""`saga doctor` on a real Kafka: what is wrong is named with what to do, and the exit code says who must act."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from app.operators.doctor.finding import ACT, FINE, LOOK
from app.wire.topics import STATE
from tests.broker.participant_replies import refuse, refuse_undo, succeed
from tests.broker.pods import Site, site
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.engine.test_command import saga

pytestmark = pytest.mark.broker


@pytest.fixture
def at(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    """The saga's topics."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as made:
        yield made


def doctor(at: Site, *words: str, **changed: object) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """The exit code, and the findings by check."""
    own = {"kafka_bootstrap": at.client["bootstrap.servers"], "topic_prefix": at.topics.prefix}
    state = {"state_dir": at.children.state_of("pod")}
    ended = saga("doctor", "--json", *words, **{**own, **state, **changed})
    assert ended.stderr == ""
    document = json.loads(ended.stdout)
    assert document["exit_code"] == ended.returncode
    found: dict[str, list[dict[str, Any]]] = {}
    for each in document["checks"]:
        found.setdefault(each["check"], []).append(each)
    return ended.returncode, found


def levels(found: dict[str, list[dict[str, Any]]]) -> dict[str, str]:
    """The checks that are not fine, each with its worst level."""
    return {name: max(each["level"] for each in all_) for name, all_ in found.items() if all_[0]["level"] != "ok"}


def test_a_healthy_pod_is_fine(at: Site) -> None:
    """Every check says so, with facts; without a pod the group has no member."""
    code, found = doctor(at)
    assert (code, levels(found)) == (LOOK, {"group": "error"})
    at.running()
    at.place("o-1")
    code, found = doctor(at)
    assert (code, levels(found)) == (FINE, {})
    names = "settings state brokers topics replicas permissions clock group lag transactions participants stuck".split()
    assert list(found) == names
    assert f"{at.group}.pod at " in found["group"][0]["fact"]
    assert f"SAGA_TOPIC_PREFIX={at.topics.prefix}" in found["settings"][0]["fact"]


def test_people_read_lines(at: Site) -> None:
    """One for each fact, one more for what to do, and one that sums up."""
    ended = saga("doctor", kafka_bootstrap=at.client["bootstrap.servers"], topic_prefix=at.topics.prefix)
    lines = ended.stdout.splitlines()
    group = next(number for number, line in enumerate(lines) if line.startswith("error    group  "))
    assert lines[group].endswith("has no member: no pod is at work")
    assert lines[group + 1].strip() == (
        "-> start a pod: `saga run`; one that runs and is not in the group hangs: see its /livez and its log"
    )
    assert lines[-1] == "something is wrong now that passes by itself, or needs a look"


def test_all_flaws_of_topics_are_found_at_once(at: Site) -> None:
    """Not only the first one."""
    admin = at.admin
    admin.delete_topics([at.topics.full("order.outcomes")])[at.topics.full("order.outcomes")].result(LIMIT)
    policy = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    changed = ConfigResource(ResourceType.TOPIC, at.topics.full(STATE), incremental_configs=[policy])
    admin.incremental_alter_configs([changed])[changed].result(LIMIT)

    def flaws() -> list[str]:
        return [each["fact"] for each in doctor(at)[1]["topics"]]

    until(lambda: len(flaws()) == 2, "both flaws")
    missing, kept = flaws()
    assert missing.startswith(f"missing on the brokers: {at.topics.full('order.outcomes')}; ")
    assert kept.startswith(f"{at.topics.full(STATE)} has cleanup.policy=delete, which can lose state")
    code, found = doctor(at)
    assert (code, levels(found)) == (ACT, {"topics": "error", "group": "error"})


@contextmanager
def member(at: Site, client_id: str, topic: str) -> Iterator[None]:
    """A consumer in the orchestrator's group that has got its partitions; it commits nothing."""
    settings = {"group.id": at.group, "client.id": client_id, "enable.auto.commit": False}
    with closing(Consumer({**at.client, **settings})) as consumer:
        consumer.subscribe([topic])

        def assigned() -> bool:
            consumer.poll(0.05)
            return bool(consumer.assignment())

        until(assigned, "an assignment")
        yield


def test_a_stranger_in_the_group_is_named(at: Site) -> None:
    """With the inputs that it takes away from the pods; a person must stop it."""
    with member(at, "report", at.topics.full("order.requests")):
        code, found = doctor(at)
    stranger = found["group"][-1]
    assert (code, stranger["level"]) == (ACT, "error")
    assert stranger["fact"].startswith("a stranger is in the group: report at ")
    assert f"no pod decides what is in {at.topics.full('order.requests')}[0]" in stranger["fact"]


def test_a_pod_that_reads_other_topics_is_a_stranger(at: Site) -> None:
    """Whatever it calls itself: another saga's pods need a group of their own."""
    with member(at, f"{at.group}.pod", at.topics.full("order.outcomes")):
        _, found = doctor(at)
    assert f"which reads {at.topics.full('order.outcomes')}" in found["group"][-1]["fact"]


def test_an_open_transaction_is_found(at: Site) -> None:
    """Since when it holds which partition up, from whom, and how to ask whose it is; it is no lag."""
    producer = transactional_producer(at.client["bootstrap.servers"], f"{at.topics.prefix}stranger")
    producer.begin_transaction()
    written_ms = round(time.time() * 1000) - 60_000
    topic, source = at.topics.full("order.requests"), [("ce_source", b"/import")]
    producer.produce(topic, b"{}", b"o-1", 0, headers=source, timestamp=written_ms)
    assert producer.flush(LIMIT) == 0
    _, found = doctor(at)
    (finding,) = found["transactions"]
    assert finding["level"] == "warning"
    assert f"{topic}[0] for 1 min, from /import" in finding["fact"]
    assert f"describe-producers --topic {topic} --partition 0" in finding["remedy"]
    assert "order.requests 0 + 1 held back" in found["lag"][0]["fact"]
    producer.abort_transaction(LIMIT)
    until(lambda: doctor(at)[1]["transactions"][0]["level"] == "ok", "the end of the transaction")


def test_a_stuck_order_waits_for_a_person(at: Site) -> None:
    """How many, and since when."""
    at.running(step_attempts=1)
    at.place("o-1")
    succeed(at, "o-1", "reservation")
    refuse(at, "o-1", "payment")
    refuse_undo(at, "o-1", "reservation")
    at.await_events("o-1", "saga.stuck")
    code, found = doctor(at)
    assert (code, found["stuck"][0]["level"]) == (ACT, "error")
    assert found["stuck"][0]["fact"].startswith("1 order, the oldest since 2")


def test_without_brokers_the_other_checks_show() -> None:
    """Within the time that was given; it may pass by itself."""
    begun = time.monotonic()
    ended = saga("doctor", "--timeout", "2", kafka_bootstrap="127.0.0.1:1", sesion_timeout=3)
    assert ended.returncode == LOOK
    lines = ended.stdout.splitlines()
    assert "warning  settings      SAGA_SESION_TIMEOUT is set, but is no setting" in lines
    assert any(line.startswith("error    brokers       no Kafka broker answered at 127.0.0.1:1") for line in lines)
    assert any(line.startswith("ok       state ") for line in lines)
    assert time.monotonic() - begun < 30


def test_a_wrong_setting_is_named() -> None:
    """Nothing else can be checked then; a person must change it."""
    ended = saga("doctor", session_timeout=1, transaction_timeout=5)
    assert ended.returncode == ACT
    assert ended.stdout.startswith("error    settings      set SAGA_TRANSACTION_TIMEOUT < SAGA_SESSION_TIMEOUT")
