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
from app.ops.kafka import KafkaSettings
from app.ops.settings import load
from app.ops.site import Site, site_of
from app.saga.versions import Versions
from app.wire.topics import Topics

_FORGET_SECONDS = 10.0
_ALONE = {f"SAGA_{name.upper()}": "" for name in KafkaSettings.model_fields} | {
    "SAGA_KAFKA_PROTOCOL": "plaintext",
    "SAGA_KAFKA_PLAINTEXT": "loopback",
    "SAGA_KAFKA_MECHANISM": "SCRAM-SHA-512",
}
"""Whatever is set for another Kafka means nothing to one of the demo's own."""


@dataclass(frozen=True, slots=True)
class Stage:
    """All that a part of the demo needs to find its way; `environment` leads child processes there."""

    site: Site
    topics: Topics
    terms: Terms
    environment: Mapping[str, str]

    @property
    def group(self) -> str:
        """The orchestrator's group."""
        return self.topics.full("saga-orchestrator")

    @property
    def client(self) -> dict[str, Any]:
        """The settings of a client of it."""
        return self.site.client()


@contextmanager
def set_stage(saga: Versions, bootstrap: str | None, partitions: int, say: Callable[[str], None]) -> Iterator[Stage]:
    """Makes the topics, on a Kafka that is there or on one of its own, and removes them at the end."""
    with ExitStack() as stack:
        given = bool(bootstrap)
        if bootstrap:
            say(f"using the Kafka at {bootstrap}")
        else:
            kafka = stack.enter_context(LocalKafka(say=say))
            say(f"Apache Kafka serves at {kafka.bootstrap}")
            bootstrap = kafka.bootstrap
        stage = _stage(saga, bootstrap, {} if given else _ALONE)
        made, _ = admin.create(stage.client, stage.topics, partitions, 1, local=stage.site.access.local)
        try:
            say(f"made {len(made)} topics of {partitions} partitions under {stage.topics.prefix}")
            yield stage
        finally:
            remover = AdminClient(stage.client)  # one that nobody holds never answers
            for future in remover.delete_topics(made, operation_timeout=_FORGET_SECONDS).values():
                future.exception(_FORGET_SECONDS)


def _stage(saga: Versions, bootstrap: str, environment: Mapping[str, str]) -> Stage:
    """A place of its own on a Kafka; without an environment it is entered as the settings say."""
    prefix = f"demo-{uuid4().hex[:8]}."
    place = {"SAGA_KAFKA_BOOTSTRAP": bootstrap, "SAGA_TOPIC_PREFIX": prefix, "SAGA_GROUP": "saga-orchestrator"}
    site = Site(bootstrap, prefix) if environment else site_of(load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    return Stage(site, Topics(saga, prefix), terms_of(saga), {**environment, **place})
