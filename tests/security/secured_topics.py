"""A saga's topics on the guarded broker, and users with exactly the permissions of their role."""

import secrets
from dataclasses import dataclass
from typing import Any

from app.wire.acls import Acls
from tests.security.guarded import Guarded, rules


@dataclass(frozen=True, slots=True)
class SecuredTopics:
    """The broker, and the ACLs of each role for the topics."""

    broker: Guarded
    acls: Acls

    def user(self, role: str) -> dict[str, Any]:
        """The settings of a new user with exactly the permissions of the role."""
        name = f"{role}-{secrets.token_hex(3)}"
        self.broker.grant(rules(name, self.acls.by_role[role]))
        return {**self.broker.user(name), "topic_prefix": self.acls.topics.prefix}
