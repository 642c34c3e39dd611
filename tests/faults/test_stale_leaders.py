"""A broker restarts, and leads again in another term: whoever asks for offsets hears of it soon."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from app.devkafka import LocalKafka
from app.engine.horizon import Horizon
from app.engine.offsets import bounds
from app.reach.contact import Contact
from tests.devkafka.support import create_topic, until
from tests.faults.pulse import now_ms

pytestmark = pytest.mark.broker
SECONDS = 10.0
PLACE = ("t", 0)


@dataclass(slots=True)
class Clients:
    """Three that all asked for an end before the broker's restart, and the time of that restart."""

    horizon: Horizon
    contact: Contact
    plain: AdminClient
    restarted_ms: int = 0

    def ask(self) -> None:
        """Each for the same."""
        bounds(self.contact.admin, [PLACE], SECONDS)
        bounds(self.plain, [PLACE], SECONDS)
        before = now_ms()
        until(lambda: self.sees_after(before), "the first look")

    def sees_after(self, moment: int) -> bool:
        """Whether the horizon has seen an end since then."""
        self.horizon.look({PLACE: 0}, now_ms())
        return self.horizon.until(0, {PLACE: 0}) > moment


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    """Theirs is a broker that was killed, and has come back as leader of everything."""
    with LocalKafka() as kafka:
        create_topic(kafka.bootstrap, "t")
        settings: dict[str, Any] = {"bootstrap.servers": kafka.bootstrap, "log_level": 0}
        asking = Clients(Horizon(settings, SECONDS), Contact(settings), AdminClient(settings))
        asking.ask()
        (broker,) = kafka.brokers
        broker.kill()
        broker.start()
        kafka.await_ready()
        asking.restarted_ms = now_ms()
        yield asking


def test_time_outs_fire_again(clients: Clients) -> None:
    """The horizon moves on; else no time-out would fire for a quarter of an hour."""
    until(lambda: clients.sees_after(clients.restarted_ms), "a look after the restart")


def test_questions_of_a_longer_life_are_answered_again(clients: Clients) -> None:
    """As those of people, of audits and of the demo."""
    assert bounds(clients.contact.admin, [PLACE], SECONDS) == {PLACE: (0, 0)}


def test_a_client_left_to_itself_is_not_answered(clients: Clients) -> None:
    """What stands behind the setting: when this fails, the client has learned it."""
    with pytest.raises(KafkaException, match="epoch"):
        bounds(clients.plain, [PLACE], 3.0)
