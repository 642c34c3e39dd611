"""The largest possible records through a running orchestrator, whose topics accept no larger ones."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

import orjson
import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from app.wire.envelope import MAX_HEADER_BYTES
from app.wire.topics import STATE
from app.wire.writer import MAX_DEAD_LETTER_BYTES
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, until
from tests.engine import raw_protocol
from tests.fuzz.judge import LARGEST
from tests.fuzz.test_sizes import largest_order

pytestmark = pytest.mark.broker
YEAR_MS = 31_536_000_000
NOW_MS = 1_790_000_000_000


def alter(at: Site, topic: str, name: str, value: object) -> None:
    """Changes one setting of a topic."""
    entry = ConfigEntry(name, str(value), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, at.topics.full(topic), incremental_configs=[entry])
    admin = at.admin
    admin.incremental_alter_configs([resource])[resource].result(LIMIT)
    until(lambda: _config(at, topic, name) == str(value), f"{topic} to have {name}={value}")


def _config(at: Site, topic: str, name: str) -> str:
    resource, admin = ConfigResource(ResourceType.TOPIC, at.topics.full(topic)), at.admin
    return str(admin.describe_configs([resource])[resource].result(LIMIT)[name].value)


def incompressible(chance: Random) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes | None]]]]:
    """Key, value and headers of the largest dead letters; random, so that compression does not shrink them."""
    size = MAX_HEADER_BYTES - 1_000
    yield b"k", chance.randbytes(1_000_000), []
    yield chance.randbytes(size), chance.randbytes(MAX_DEAD_LETTER_BYTES), [("x", chance.randbytes(size))]
    yield chance.randbytes(size), chance.randbytes(MAX_DEAD_LETTER_BYTES), [("x", chance.randbytes(size))]
    yield chance.randbytes(1_000_000), b"{}", []
    yield b"k", b"{}", [("x", chance.randbytes(1_000_000))]


def test_the_largest_of_everything_is_written(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """All at once and incompressible, while the topics accept just the record size that a pod's start requires."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        for topic in (*at.topics.outputs, STATE):
            alter(at, topic.name, "max.message.bytes", LARGEST)
        largest = [at.send("order.requests", key, value, headers) for key, value, headers in incompressible(Random(1))]
        order = orjson.dumps({"order_id": "o" * 128, **largest_order()})
        for number in range(20):
            long_id = f"{number:0128d}"
            value = order.replace(b"o" * 128, long_id.encode())
            at.send("order.requests", long_id.encode(), value, said("order.place", "\0" * 1024))
        pod = at.running()
        at.place("after")
        at.await_events("after", "saga.step.requested")
        assert len(at.read("saga.dead-letters")) == len(largest)
        assert len(at.read("reservation.commands")) == 21
        assert pod.alive


def test_the_timestamps_of_records_change_nothing(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Orders with timestamps of last year, next year, 1970 and before are decided in order, with the present time."""
    times = (NOW_MS + YEAR_MS, NOW_MS - YEAR_MS, 0, -1, -YEAR_MS, 2**62)
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        topic = at.topics.full("order.requests")
        alter(at, "order.requests", "message.timestamp.after.max.ms", 2**63 - 1)
        alter(at, "order.requests", "retention.ms", -1)
        names = [f"o-{number}" for number, _ in zip(count(), times, strict=False)]
        for name, timestamp_ms in zip(names, times, strict=True):
            headers = [(key.encode(), value) for key, value in said("order.place", name)]
            raw_protocol.produce(kafka_bootstrap, topic, 0, name.encode(), placed(name), headers, timestamp_ms)
        at.running()
        at.place("last")
        at.await_events("last", "saga.step.requested")
        decisions = at.decisions()
        assert [each["saga_id"] for each in decisions] == [*names, "last"]
        dues = [event["due_ms"] - event["at_ms"] for each in decisions for event in each["events"][1:]]
        begun = [each["events"][0]["at_ms"] for each in decisions]
        assert set(dues) == {30_000}
        assert max(begun) - min(begun) < LIMIT * 1000
