"""The stage of a demo: a Kafka, and topics and a group under a prefix of their own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from app.audit.spec import SagaSpec, spec_of
from app.devkafka import LocalKafka
from app.engine.kafka import topics_admin
from app.ops.kafka_cluster import KafkaCluster, cluster_of
from app.ops.kafka_settings import KafkaSettings
from app.ops.settings import load
from app.saga.versions import Versions
from app.wire.topics import Topics

_DELETE_SECONDS = 10.0
_OWN_KAFKA = {f"SAGA_{name.upper()}": "" for name in KafkaSettings.model_fields} | {
    "SAGA_KAFKA_PROTOCOL": "plaintext",
    "SAGA_KAFKA_PLAINTEXT": "loopback",
    "SAGA_KAFKA_MECHANISM": "SCRAM-SHA-512",
}
"""Clears settings made for another Kafka, for child processes that use the demo's own."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The cluster, topics and audit specification of one run; `environment` gives child processes the same settings."""

    cluster: KafkaCluster
    topics: Topics
    terms: SagaSpec
    environment: Mapping[str, str]

    @property
    def group(self) -> str:
        """The orchestrator's consumer group, with the prefix."""
        return self.topics.full("saga-orchestrator")

    @property
    def client(self) -> dict[str, Any]:
        """The configuration of a client of the cluster."""
        return self.cluster.client()


@contextmanager
def set_stage(saga: Versions, bootstrap: str | None, partitions: int, say: Callable[[str], None]) -> Iterator[Stage]:
    """Creates the topics, on the Kafka at `bootstrap` or on a local one of its own, and deletes them at the end."""
    with ExitStack() as stack:
        given = bool(bootstrap)
        if bootstrap:
            say(f"using the Kafka at {bootstrap}")
        else:
            kafka = stack.enter_context(LocalKafka(say=say))
            say(f"Apache Kafka serves at {kafka.bootstrap}")
            bootstrap = kafka.bootstrap
        stage = _stage(saga, bootstrap, {} if given else _OWN_KAFKA)
        made, _ = topics_admin.create(stage.client, stage.topics, partitions, 1, local=stage.cluster.security.local)
        try:
            say(f"created {len(made)} topics of {partitions} partitions with the prefix {stage.topics.prefix}")
            yield stage
        finally:
            admin = AdminClient(stage.client)  # kept in a variable: futures of a collected client never complete
            for future in admin.delete_topics(made, operation_timeout=_DELETE_SECONDS).values():
                future.exception(_DELETE_SECONDS)


def _stage(saga: Versions, bootstrap: str, environment: Mapping[str, str]) -> Stage:
    """A stage with a new prefix; without an environment its clients have the security of the settings."""
    prefix = f"demo-{uuid4().hex[:8]}."
    names = {"SAGA_KAFKA_BOOTSTRAP": bootstrap, "SAGA_TOPIC_PREFIX": prefix, "SAGA_GROUP": "saga-orchestrator"}
    cluster = (
        KafkaCluster(bootstrap, prefix)
        if environment
        else cluster_of(load(kafka_bootstrap=bootstrap, topic_prefix=prefix))
    )
    return Stage(cluster, Topics(saga, prefix), spec_of(saga), {**environment, **names})
