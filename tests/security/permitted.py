"""Topics on the guarded broker, and everybody with just the permissions of their part."""

import secrets
from dataclasses import dataclass
from typing import Any

from app.wire.rights import Rights
from tests.security.guarded import Guarded, rules


@dataclass(frozen=True, slots=True)
class Permitted:
    """Where it is, and who needs what there."""

    broker: Guarded
    rights: Rights

    def user(self, role: str) -> dict[str, Any]:
        """The settings of somebody new who has just what this part needs."""
        name = f"{role}-{secrets.token_hex(3)}"
        self.broker.grant(rules(name, self.rights.by_role[role]))
        return {**self.broker.user(name), "topic_prefix": self.rights.topics.prefix}
