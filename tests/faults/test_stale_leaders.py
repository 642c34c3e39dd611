"""A broker restarts and leads again in a new leader epoch: requests for offsets soon use that epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.devkafka import LocalKafka
from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.assignment.start_offsets import log_bounds
from app.engine.state.store import PartitionStore
from app.kafka_access.first_contact import FirstContact
from tests.devkafka.support import create_topic, until
from tests.faults.decision_watch import now_ms

pytestmark = pytest.mark.broker
SECONDS = 10.0
PARTITION = ("t", 0)


@dataclass(slots=True)
class Clients:
    """Three clients that asked for end offsets before the broker's restart, and the time of that restart."""

    end_offsets: EndOffsetRequests
    task: PartitionTask
    contact: FirstContact
    plain: AdminClient
    restarted_ms: int = 0

    def ask(self) -> None:
        """Has each client ask for the end offset once."""
        log_bounds(self.contact.admin, [PARTITION], SECONDS)
        log_bounds(self.plain, [PARTITION], SECONDS)
        before = now_ms()
        until(lambda: self.sees_after(before), "the first end offset")

    def sees_after(self, moment: int) -> bool:
        """Whether an end offset came that was requested after this time (ms since 1970)."""
        self.end_offsets.request([PARTITION], now_ms())
        self.end_offsets.hand_out({0: self.task})
        return self.task.frontier.read_up_to_ms(self.task.positions) > moment


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    """The clients of a broker that was killed and started again, and leads every partition."""
    with LocalKafka() as kafka:
        create_topic(kafka.bootstrap, "t")
        settings: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap, "log_level": 0}
        asking = Clients(
            EndOffsetRequests(settings, SECONDS),
            PartitionTask(0, cast("PartitionStore", None), {"t": 0}),
            FirstContact(settings),
            AdminClient(settings),
        )
        asking.ask()
        (broker,) = kafka.brokers
        broker.kill()
        broker.start()
        kafka.await_ready()
        asking.restarted_ms = now_ms()
        yield asking


def test_timers_fire_again(clients: Clients) -> None:
    """The read frontier advances; else no timer would fire for a quarter of an hour."""
    until(lambda: clients.sees_after(clients.restarted_ms), "an end offset after the restart")


def test_long_lived_admin_clients_are_answered_again(clients: Clients) -> None:
    """Operator commands, audits and the demo use such clients."""
    assert log_bounds(clients.contact.admin, [PARTITION], SECONDS) == {PARTITION: (0, 0)}


def test_a_client_with_default_settings_is_not_answered(clients: Clients) -> None:
    """The reason for the setting: when this fails, the client library no longer needs it."""
    with pytest.raises(KafkaException, match="epoch"):
        log_bounds(clients.plain, [PARTITION], 3.0)
