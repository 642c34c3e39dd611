"""A real Apache Kafka on this computer, with nothing installed by hand; for the demo, the tests and first steps."""

from app.devkafka.broker import Broker
from app.devkafka.cluster import LocalKafka
from app.devkafka.errors import DevKafkaError
from app.devkafka.properties import Extra, Listener, Profile

__all__ = ["Broker", "DevKafkaError", "Extra", "Listener", "LocalKafka", "Profile"]
