"""Whether this process may do on the brokers what it must: each right that is missing is named."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, ResourceType

from app.engine.errors import Ended, Refused
from app.wire.rights import Right

_ASKED = {"Read": AclOperation.READ, "Write": AclOperation.WRITE}
_DENIED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


def require(admin: AdminClient, rights: tuple[Right, ...], seconds: float) -> None:
    """Raises Refused, with all that this user lacks of these rights on topics; of a topic that isn't there, none.

    Raises KafkaException when no answer came.
    """
    names = [right.name for right in rights]
    described = admin.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=seconds
    )
    resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in names}
    configs = admin.describe_configs(list(resources.values()), request_timeout=seconds)
    missing = [
        f"{what} on {right.kind} {right.name}"
        for right in rights
        for what in _missing(right, described[right.name], configs[resources[right.name]])
    ]
    if missing:
        raise lacking(", ".join(missing))


def lacking(what: str) -> Refused:
    """The refusal that names what is not allowed."""
    return Refused(f"this user lacks permissions: {what}; grant them as `saga topics acls` prints them")


def not_known(error: KafkaError) -> Ended | None:
    """The end of a process that a broker doesn't know any more; None for any other error. Every client can be told."""
    if error.code() != KafkaError._AUTHENTICATION:
        return None
    return Ended("a broker doesn't know this user by its password any more: the next start reads the password anew")


def is_denied(error: KafkaError) -> bool:
    """Whether the broker knows who asks, and doesn't allow it."""
    return error.code() in _DENIED


def _missing(right: Right, described: Future[Any], configs: Future[Any]) -> Iterator[str]:
    """Whoever may not even describe a topic may do nothing else with it but describe its configuration."""
    allowed = _allowed(described)
    for operation in right.operations:
        if operation == "DescribeConfigs":
            if _is_refused(configs):
                yield operation
        elif allowed is not None and _ASKED[operation] not in allowed:
            yield operation


def _allowed(described: Future[Any]) -> Mapping[AclOperation, Any] | list[AclOperation] | None:
    """What the broker says that is allowed; None when it doesn't tell."""
    if _is_refused(described):
        return []
    error = described.exception()
    if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return None
    return described.result().authorized_operations or None


def _is_refused(answer: Future[Any]) -> bool:
    error = answer.exception()
    return isinstance(error, KafkaException) and is_denied(error.args[0])
