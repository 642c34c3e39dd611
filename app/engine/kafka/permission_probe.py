"""Tries the permissions that brokers do not describe: to use the group, and to begin transactions. Changes nothing."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.engine.errors import NeedsOperator, NeedsRestart
from app.engine.kafka.client_config import ClientConfig
from app.engine.kafka.permissions import is_denied, missing_permissions
from app.engine.kafka.transactions import TransactionalProducer
from app.wire.acls import Acl, Acls
from app.wire.topics import REQUESTS

_NO_PARTITION = 2**31 - 2
_SECONDS = 15.0
_POLL_SECONDS = 0.1

_silent = logging.getLogger(f"{__name__}.client")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


def try_out(config: ClientConfig, acls: Acls) -> None:
    """Raises NeedsOperator, with the missing permissions. Does not disturb running pods."""
    missing = [*_missing_on_group(config, acls), *_missing_on_transactions(config, acls)]
    if missing:
        raise missing_permissions(", ".join(missing))


def _acl_text(acl: Acl) -> str:
    return f"{acl.operations[0]} on {acl.kind} {acl.name}{'*' * acl.prefixed}"


def _missing_on_group(config: ClientConfig, acls: Acls) -> Iterator[str]:
    """Commits an offset of a partition that can't exist: brokers check first whether the user may use the group."""
    # The admin client could describe the permissions, but it ends the process if a connection breaks meanwhile.
    no_partition = [TopicPartition(acls.topics.full(REQUESTS.name), _NO_PARTITION, 0)]
    with closing(Consumer({**config.standalone_consumer(), "logger": _silent})) as consumer:
        if not _coordinator_allows(consumer, config.group, no_partition) or not _may_commit(consumer, no_partition):
            yield _acl_text(acls.orchestrator_group)


def _coordinator_allows(consumer: Consumer, group: str, no_partition: list[TopicPartition]) -> bool:
    """Whether the group's coordinator accepts this user; waits for it, as only then is a commit answered at once."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        message = consumer.poll(_POLL_SECONDS)
        if message is not None and is_denied(cast("KafkaError", message.error())):
            return False
        try:
            consumer.committed(no_partition, _POLL_SECONDS)
        except KafkaException as error:
            if is_denied(error.args[0]):
                return False
        else:
            return True
    raise NeedsRestart(f"the coordinator of the group {group} did not answer for {_SECONDS:.0f} s")


def _may_commit(consumer: Consumer, no_partition: list[TopicPartition]) -> bool:
    try:
        consumer.commit(offsets=no_partition, asynchronous=False)
    except KafkaException as error:
        return not is_denied(error.args[0])
    return True


def _missing_on_transactions(config: ClientConfig, acls: Acls) -> Iterator[str]:
    """Initialises a transactional id that no pod uses."""
    producer = TransactionalProducer(
        {**config.producers()[0], "transactional.id": f"{config.group}.{config.instance}.try", "logger": _silent},
        _SECONDS,
        acls.topics.full(REQUESTS.name),
    )
    try:
        producer.init_transactions()
    except NeedsOperator:
        yield _acl_text(acls.orchestrator_transactions)
    finally:
        producer.close()
