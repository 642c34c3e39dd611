"""A real Kafka behind a proxy that can inject network faults."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from app.devkafka import Extra, Listener, LocalKafka
from app.devkafka.ports import free_ports
from tests.faults.proxy import Network


@dataclass(frozen=True, slots=True)
class Cluster:
    """A real Kafka. Clients that bootstrap from `network.bootstrap` connect through the proxy."""

    kafka: LocalKafka
    network: Network

    @property
    def client(self) -> dict[str, Any]:
        """Settings of a client that connects to the brokers directly."""
        return {"bootstrap.servers": self.kafka.bootstrap, "log_level": 2}


@contextmanager
def cluster_of(brokers: int, seed: int) -> Iterator[Cluster]:
    """A cluster of one broker or three; `seed` makes the proxy's random faults repeatable."""
    ports = free_ports(2 * brokers)
    routes = {number: (ports[2 * number - 2], ports[2 * number - 1]) for number in range(1, brokers + 1)}
    extra = {number: Extra((Listener("PROXIED", port, advertised),)) for number, (advertised, port) in routes.items()}
    with Network(routes, seed).running() as network, LocalKafka(brokers, extra=extra) as kafka:
        yield Cluster(kafka, network)
