"""The Kafka cluster of the programs around the orchestrator: shops, participants, operators, auditors."""

from dataclasses import dataclass
from typing import Any

from app.kafka_access.security import PLAINTEXT, Security
from app.ops.settings import Settings


@dataclass(frozen=True, slots=True)
class KafkaCluster:
    """Bootstrap servers, the prefix of every topic and group name, and the security of the clients."""

    bootstrap: str
    prefix: str = ""
    security: Security = PLAINTEXT

    def full(self, name: str) -> str:
        """The name of a topic or group on the broker, with the prefix."""
        return self.prefix + name

    def client(self, **more: Any) -> dict[str, Any]:
        """The configuration of a librdkafka client, extended by `more`; the client raises errors and logs none."""
        common = {"bootstrap.servers": self.bootstrap, "socket.nagle.disable": True, "log_level": 2}
        return {**common, **self.security.settings, **more}


def cluster_of(settings: Settings) -> KafkaCluster:
    """The cluster that the settings name. Reads password files; raises WrongSetting."""
    return KafkaCluster(settings.kafka_bootstrap, settings.topic_prefix, settings.security)
