"""Which Kafka, and under which names: where everything is that talks to the orchestrator from outside."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Site:
    """The brokers, and what all names on them start with."""

    bootstrap: str
    prefix: str = ""

    def full(self, name: str) -> str:
        """A topic's or group's name on the broker."""
        return self.prefix + name

    def client(self, **more: Any) -> dict[str, Any]:
        """The settings of a client, which raises what matters instead of logging it."""
        return {"bootstrap.servers": self.bootstrap, "socket.nagle.disable": True, "log_level": 2, **more}
