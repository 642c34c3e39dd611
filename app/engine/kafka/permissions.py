"""Whether this process has the permissions on the brokers that it needs; each missing one is named."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource, ResourceType

from app.engine.errors import NeedsOperator, NeedsRestart
from app.wire.acls import Acl

_OPERATIONS = {"Read": AclOperation.READ, "Write": AclOperation.WRITE}
_DENIED = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
)


def require(admin: AdminClient, acls: tuple[Acl, ...], seconds: float) -> None:
    """Raises NeedsOperator, with all missing permissions on topics; a topic that does not exist lacks none.

    Raises KafkaException if no broker answers.
    """
    names = [acl.name for acl in acls]
    described = admin.describe_topics(
        TopicCollection(names), include_authorized_operations=True, request_timeout=seconds
    )
    resources = {name: ConfigResource(ResourceType.TOPIC, name) for name in names}
    configs = admin.describe_configs(list(resources.values()), request_timeout=seconds)
    missing = [
        f"{operation} on {acl.kind} {acl.name}"
        for acl in acls
        for operation in _missing(acl, described[acl.name], configs[resources[acl.name]])
    ]
    if missing:
        raise missing_permissions(", ".join(missing))


def missing_permissions(operations: str) -> NeedsOperator:
    """The error that names missing permissions, such as `Read on topic x`."""
    return NeedsOperator(f"this user lacks permissions: {operations}; grant them as `saga topics acls` prints them")


def rejected_credentials(error: KafkaError) -> NeedsRestart | None:
    """NeedsRestart for an authentication error, None for any other. Any client can get one."""
    if error.code() != KafkaError._AUTHENTICATION:
        return None
    return NeedsRestart("a broker rejects this user's credentials: the next start reads the password again")


def is_denied(error: KafkaError) -> bool:
    """Whether it is an authorization error: the broker knows the user, but denies the operation."""
    return error.code() in _DENIED


def _missing(acl: Acl, described: Future[Any], configs: Future[Any]) -> Iterator[str]:
    """Without the permission to describe a topic, no other is of use but to describe its configuration."""
    allowed = _allowed(described)
    for operation in acl.operations:
        if operation == "DescribeConfigs":
            if _is_denied_answer(configs):
                yield operation
        elif allowed is not None and _OPERATIONS[operation] not in allowed:
            yield operation


def _allowed(described: Future[Any]) -> Mapping[AclOperation, Any] | list[AclOperation] | None:
    """The operations that the broker allows; None if it doesn't say."""
    if _is_denied_answer(described):
        return []
    error = described.exception()
    if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return None
    return described.result().authorized_operations or None


def _is_denied_answer(answer: Future[Any]) -> bool:
    error = answer.exception()
    return isinstance(error, KafkaException) and is_denied(error.args[0])
