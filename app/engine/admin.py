"""The saga's topics on the brokers: made when they are missing, and checked before anything is read."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType, TopicMetadata

from app.engine.errors import Ended, Refused
from app.engine.folder import OLD_SECONDS
from app.engine.rights import require
from app.reach.contact import Contact, Silent, Unanswered
from app.wire.rights import Rights
from app.wire.topics import STATE, Topic, Topics

_SECONDS = 15.0
_DELETIONS_MS = round(2 * OLD_SECONDS * 1000)
_LARGEST_BYTES = 1_000_000  # of what is sent at once to a partition; a dead letter alone can have three quarters of it
_CREATE = "create the topics with `saga topics create`"


@dataclass(frozen=True, slots=True)
class Found:
    """A topic as it is on the brokers."""

    name: str
    partitions: int
    replicas: int
    config: dict[str, str]


def create(
    client: dict[str, Any], topics: Topics, partitions: int, replicas: int, *, local: bool = False
) -> tuple[list[str], list[str]]:
    """Makes what is missing; what is there stays as it is. Returns (made, found there). Raises Refused."""
    contact, there = _there(client, local=local)
    admin = contact.admin
    wanted = {topics.full(topic): topic for topic in topics.all}
    others = {len(there[name].partitions) for name in wanted if name in there}
    if others - {partitions}:
        raise Refused(
            f"some of the topics have {max(others)} partitions already: all need the same number, for life, "
            f"so ask for --partitions {max(others)} or use another prefix"
        )
    new = [NewTopic(name, partitions, replicas, config=wanted[name].config) for name in wanted if name not in there]
    asked = admin.create_topics(new, operation_timeout=_SECONDS) if new else {}
    made = {name for name, future in asked.items() if _is_made(name, future)}
    return [name for name in wanted if name in made], [name for name in wanted if name not in made]


def _is_made(name: str, future: Future[None]) -> bool:
    """False when somebody else made it meanwhile."""
    try:
        future.result()
    except KafkaException as error:
        if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        raise Refused(f"{name} could not be made: {error.args[0].str()}") from error
    return True


def check(client: dict[str, Any], topics: Topics, min_replicas: int, *, local: bool = False) -> int:
    """Checks brokers, rights and topics; returns the number of partitions.

    Raises Refused with what to change, and Ended when nobody answers.

    `local` refuses brokers that send clients on to other computers.
    """
    contact, there = _there(client, local=local)
    admin = contact.admin
    try:
        require(admin, Rights(topics, "").orchestrators_topics, _SECONDS)
    except KafkaException as error:  # where to start from answered, but not where it leads to
        why = contact.why()
        if why is None:
            raise
        raise Refused(why) from error
    missing = [topics.full(topic) for topic in topics.all if topics.full(topic) not in there]
    if missing:
        which = ", ".join(missing) if len(missing) < len(topics.all) else f"every topic of the prefix {topics.prefix!r}"
        raise Refused(f"missing on the brokers: {which}; {_CREATE}")
    found = _found(admin, topics, there)
    numbers = {at.partitions for at in found.values()}
    if len(numbers) > 1:
        listed = ", ".join(f"{at.name} {at.partitions}" for at in found.values())
        raise Refused(
            f"all topics need the same number of partitions, but have: {listed}; make them anew under another prefix"
        )
    for topic, at in found.items():
        _check_topic(topic, at, min_replicas)
    return numbers.pop()


def _check_topic(topic: Topic, at: Found, min_replicas: int) -> None:
    for name, wanted in topic.config.items():
        if at.config.get(name) != wanted:
            raise Refused(
                f"{at.name} has {name}={at.config.get(name)}, which can lose state or history: set it to {wanted}"
            )
    if int(at.config["max.message.bytes"]) < _LARGEST_BYTES:
        raise Refused(
            f"{at.name} has max.message.bytes={at.config['max.message.bytes']}: "
            f"a record that is larger would end every pod, so set it to {_LARGEST_BYTES} at least"
        )
    kept = int(at.config["delete.retention.ms"])
    if topic == STATE and kept < _DELETIONS_MS:
        raise Refused(
            f"{at.name} has delete.retention.ms={kept}, so a pod that comes back may not see what was deleted: "
            f"set it to {_DELETIONS_MS} at least"
        )
    if at.replicas < min_replicas:
        raise Refused(
            f"{at.name} has {at.replicas} replica{'s' * (at.replicas != 1)}, fewer than {min_replicas}: "
            "give it more, or lower SAGA_MIN_REPLICATION"
        )


def _there(client: dict[str, Any], *, local: bool) -> tuple[Contact, dict[str, TopicMetadata]]:
    """A client whose questions are answered, and the topics that there are."""
    try:
        contact = Contact(client)
        found = contact.first_answer(_SECONDS, local=local)
    except Silent as error:  # they may just be away
        raise Ended(str(error)) from error
    except Unanswered as error:
        raise Refused(str(error)) from error
    return contact, found.topics


def _found(admin: AdminClient, topics: Topics, there: dict[str, TopicMetadata]) -> dict[Topic, Found]:
    """All topics as they are; their settings are asked for together, as one by one is a good part of a start."""
    resources = {topic: ConfigResource(ResourceType.TOPIC, topics.full(topic)) for topic in topics.all}
    configs = admin.describe_configs(list(resources.values()), request_timeout=_SECONDS)
    found = {}
    for topic, resource in resources.items():
        name, config = topics.full(topic), {key: entry.value for key, entry in configs[resource].result().items()}
        partitions = there[name].partitions
        replicas = min(len(partition.replicas) for partition in partitions.values())
        found[topic] = Found(name, len(partitions), replicas, config)
    return found
