"""Which Kafka, and under which names: where everything is that talks to the orchestrator from outside."""

from dataclasses import dataclass
from typing import Any

from app.ops.settings import Settings
from app.reach.access import OPEN, Access


@dataclass(frozen=True, slots=True)
class Site:
    """The brokers, what all names on them start with, and how to get in."""

    bootstrap: str
    prefix: str = ""
    access: Access = OPEN

    def full(self, name: str) -> str:
        """A topic's or group's name on the broker."""
        return self.prefix + name

    def client(self, **more: Any) -> dict[str, Any]:
        """The settings of a client, which raises what matters instead of logging it."""
        common = {"bootstrap.servers": self.bootstrap, "socket.nagle.disable": True, "log_level": 2}
        return {**common, **self.access.settings, **more}


def site_of(settings: Settings) -> Site:
    """The site that the settings name. Raises WrongSetting."""
    return Site(settings.kafka_bootstrap, settings.topic_prefix, settings.access)
