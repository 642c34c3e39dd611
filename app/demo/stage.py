"""Where a demo plays: a Kafka, topics under a prefix of their own, and the names that go with them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from app.audit.terms import Terms, terms_of
from app.devkafka import LocalKafka
from app.engine import admin
from app.ops.site import Site
from app.saga.versions import Versions
from app.wire.topics import Topics

_FORGET_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a part of the demo needs to find its way."""

    client: dict[str, Any]
    topics: Topics
    terms: Terms

    @property
    def group(self) -> str:
        """The orchestrator's group."""
        return self.topics.full("saga-orchestrator")

    @property
    def site(self) -> Site:
        """The same place, for the samples."""
        return Site(self.client["bootstrap.servers"], self.topics.prefix)

    @property
    def environment(self) -> Mapping[str, str]:
        """The same place, for child processes."""
        return {
            "SAGA_KAFKA_BOOTSTRAP": self.client["bootstrap.servers"],
            "SAGA_TOPIC_PREFIX": self.topics.prefix,
            "SAGA_GROUP": "saga-orchestrator",
        }


@contextmanager
def set_stage(saga: Versions, bootstrap: str | None, partitions: int, say: Callable[[str], None]) -> Iterator[Stage]:
    """Makes the topics, on a Kafka that is there or on one of its own, and removes them at the end."""
    with ExitStack() as stack:
        if bootstrap:
            say(f"using the Kafka at {bootstrap}")
        else:
            kafka = stack.enter_context(LocalKafka(say=say))
            say(f"Apache Kafka serves at {kafka.bootstrap}")
            bootstrap = kafka.bootstrap
        client = {"bootstrap.servers": bootstrap, "log_level": 2}
        stage = Stage(client, Topics(saga, f"demo-{uuid4().hex[:8]}."), terms_of(saga))
        made, _ = admin.create(client, stage.topics, partitions, 1)
        try:
            say(f"made {len(made)} topics of {partitions} partitions under {stage.topics.prefix}")
            yield stage
        finally:
            remover = AdminClient(client)  # one that nobody holds never answers
            for future in remover.delete_topics(made, operation_timeout=_FORGET_SECONDS).values():
                future.exception(_FORGET_SECONDS)
