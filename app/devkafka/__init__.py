"""A real Apache Kafka on this computer, installed by itself: for the demo, the tests and first steps.

- cli: `saga kafka start` and `saga kafka fetch`
- cluster: LocalKafka, a cluster of one or three brokers in a `with` block (broker: one of its processes)
- properties, storage, ports: a node's settings, its formatted data directory, its ports
- cache, fetch, lock, java: the installation: where it is kept, how it is fetched, which jars, which Java
- launcher, die_with_parent: child processes that end with this one
- data_dirs, metadata: exclusive data directories; the brokers that a broker knows
"""

from app.devkafka.broker import Broker
from app.devkafka.cluster import LocalKafka
from app.devkafka.errors import DevKafkaError
from app.devkafka.properties import Extra, Listener, Profile

__all__ = ["Broker", "DevKafkaError", "Extra", "Listener", "LocalKafka", "Profile"]
