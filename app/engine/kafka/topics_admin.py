"""The saga's topics on the brokers: created if they are missing, and checked before anything is read."""

from collections.abc import Collection, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType, TopicMetadata

from app.engine.errors import NeedsOperator, NeedsRestart
from app.engine.kafka.permissions import require
from app.engine.policy import OLD_SECONDS
from app.kafka_access.first_contact import FirstContact, NoAnswer, Unreachable
from app.wire.acls import Acls
from app.wire.topics import STATE, Topic, Topics

_SECONDS = 15.0
_MIN_TOMBSTONE_MS = round(2 * OLD_SECONDS * 1000)
_MAX_RECORD_BYTES = 1_000_000  # per partition and request; a dead letter takes up to three quarters of it
_CREATE = "create the topics with `saga topics create`"


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic as the brokers describe it."""

    name: str
    partitions: int
    replicas: int
    config: dict[str, str]


def create(
    client: dict[str, Any], topics: Topics, partitions: int, replicas: int, *, local: bool = False
) -> tuple[list[str], list[str]]:
    """Creates missing topics, and leaves the others alone. Returns (created, existing) names. Raises NeedsOperator."""
    contact, existing = _first_contact(client, local=local)
    admin = contact.admin
    wanted = {topics.full(topic): topic for topic in topics.all}
    counts = {len(existing[name].partitions) for name in wanted if name in existing}
    if counts - {partitions}:
        raise NeedsOperator(
            f"some of the topics have {max(counts)} partitions already: all need the same number, fixed for life, "
            f"so use --partitions {max(counts)} or another prefix"
        )
    new = [NewTopic(name, partitions, replicas, config=wanted[name].config) for name in wanted if name not in existing]
    futures = admin.create_topics(new, operation_timeout=_SECONDS) if new else {}
    created = {name for name, future in futures.items() if _was_created(name, future)}
    return [name for name in wanted if name in created], [name for name in wanted if name not in created]


def _was_created(name: str, future: Future[None]) -> bool:
    """False if the topic was created by another process meanwhile."""
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise NeedsOperator(f"{name} could not be created: {error.args[0].str()}") from error
    return True


def check(client: dict[str, Any], topics: Topics, min_replicas: int, *, local: bool = False) -> int:
    """Checks brokers, permissions and topics; returns the partition count of the topics.

    Raises NeedsOperator with what to change, and NeedsRestart if no broker answers. With `local`, brokers that refer
    clients to other hosts are refused.
    """
    partitions, flaws = examine(client, topics, min_replicas, local=local)
    if flaws:
        raise NeedsOperator(flaws[0])
    return partitions


def examine(client: dict[str, Any], topics: Topics, min_replicas: int, *, local: bool = False) -> tuple[int, list[str]]:
    """As `check`, but returns the most partitions that a topic has, and a sentence for each thing to change.

    Without a permission on a topic there is no more to see, so the missing permissions are the only sentence then.
    """
    contact, existing = _first_contact(client, local=local)
    admin = contact.admin
    try:
        require(admin, Acls(topics, "").orchestrator_topics, _SECONDS)
    except NeedsOperator as denied:
        return 0, [str(denied)]
    except KafkaException as error:  # the bootstrap server answered, but the brokers that it names do not
        reason = contact.why()
        if reason is None:
            raise
        raise NeedsOperator(reason) from error
    found = _describe(admin, topics, existing)
    flaws = [
        *_missing(topics, existing),
        *_unequal(found.values()),
        *(flaw for topic, each in found.items() for flaw in _flaws(topic, each, min_replicas)),
    ]
    return max((each.partitions for each in found.values()), default=0), flaws


def _missing(topics: Topics, existing: dict[str, TopicMetadata]) -> Iterator[str]:
    missing = [topics.full(topic) for topic in topics.all if topics.full(topic) not in existing]
    if missing:
        names = ", ".join(missing) if len(missing) < len(topics.all) else f"every topic of the prefix {topics.prefix!r}"
        yield f"missing on the brokers: {names}; {_CREATE}"


def _unequal(found: Collection[FoundTopic]) -> Iterator[str]:
    if len({each.partitions for each in found}) > 1:
        listed = ", ".join(f"{each.name} {each.partitions}" for each in found)
        yield (
            f"all topics need the same number of partitions, but have: {listed}; create them again under another prefix"
        )


def _flaws(topic: Topic, found: FoundTopic, min_replicas: int) -> Iterator[str]:
    for name, wanted in topic.config.items():
        value = found.config.get(name)
        if value != wanted:
            yield f"{found.name} has {name}={value}, which can lose state or history: set it to {wanted}"
    if int(found.config["max.message.bytes"]) < _MAX_RECORD_BYTES:
        yield (
            f"{found.name} has max.message.bytes={found.config['max.message.bytes']}: "
            f"a larger record would stop every pod, so set it to {_MAX_RECORD_BYTES} at least"
        )
    tombstones_ms = int(found.config["delete.retention.ms"])
    if topic == STATE and tombstones_ms < _MIN_TOMBSTONE_MS:
        yield (
            f"{found.name} has delete.retention.ms={tombstones_ms}, so a pod that restarts may miss tombstones: "
            f"set it to {_MIN_TOMBSTONE_MS} at least"
        )
    if found.replicas < min_replicas:
        yield (
            f"{found.name} has {found.replicas} replica{'s' * (found.replicas != 1)}, fewer than {min_replicas}: "
            "add replicas, or lower SAGA_MIN_REPLICATION"
        )


def _first_contact(client: dict[str, Any], *, local: bool) -> tuple[FirstContact, dict[str, TopicMetadata]]:
    """An admin client that has got an answer, and the topics that the brokers have."""
    try:
        contact = FirstContact(client)
        found = contact.first_answer(_SECONDS, local=local)
    except NoAnswer as error:  # the brokers may just be down
        raise NeedsRestart(str(error)) from error
    except Unreachable as error:
        raise NeedsOperator(str(error)) from error
    return contact, found.topics


def _describe(admin: AdminClient, topics: Topics, existing: dict[str, TopicMetadata]) -> dict[Topic, FoundTopic]:
    """The topics that exist, described in one request: one by one would be a good part of a start's time."""
    there = [topic for topic in topics.all if topics.full(topic) in existing]
    resources = {topic: ConfigResource(ResourceType.TOPIC, topics.full(topic)) for topic in there}
    if not resources:
        return {}
    configs = admin.describe_configs(list(resources.values()), request_timeout=_SECONDS)
    found = {}
    for topic, resource in resources.items():
        name, config = topics.full(topic), {key: entry.value for key, entry in configs[resource].result().items()}
        partitions = existing[name].partitions
        replicas = min(len(partition.replicas) for partition in partitions.values())
        found[topic] = FoundTopic(name, len(partitions), replicas, config)
    return found
