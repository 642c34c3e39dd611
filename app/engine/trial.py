"""Tries what no broker tells beforehand: whether the group may be used, and transactions begun. Nothing comes of it."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from app.engine.clients import Clients
from app.engine.errors import Ended, Refused
from app.engine.lanes import Lane
from app.engine.rights import is_denied, lacking
from app.wire.rights import Right, Rights
from app.wire.topics import REQUESTS

_NO_PARTITION = 2**31 - 2
_SECONDS = 15.0
_LOOK_SECONDS = 0.1

_silent = logging.getLogger(f"{__name__}.client")
_silent.propagate = False
_silent.addHandler(logging.NullHandler())


def try_out(clients: Clients, rights: Rights) -> None:
    """Raises Refused, with what this user may not do; disturbs no pod that runs."""
    missing = [*_missing_of_group(clients, rights), *_missing_of_transactions(clients, rights)]
    if missing:
        raise lacking(", ".join(missing))


def named(right: Right) -> str:
    """A right with one operation, as it is told."""
    return f"{right.operations[0]} on {right.kind} {right.name}{'*' * right.prefixed}"


def _missing_of_group(clients: Clients, rights: Rights) -> Iterator[str]:
    """Commits an offset of a partition that can't be: brokers first look whether the group may be used at all."""
    # The admin client could describe what is allowed, but when a connection breaks meanwhile it ends the process.
    nowhere = [TopicPartition(rights.topics.full(REQUESTS.name), _NO_PARTITION, 0)]
    with closing(Consumer({**clients.reader(), "logger": _silent})) as consumer:
        if not _is_seen(consumer, clients.group, nowhere) or not _may_commit(consumer, nowhere):
            yield named(rights.orchestrators_group)


def _is_seen(consumer: Consumer, group: str, nowhere: list[TopicPartition]) -> bool:
    """Whether the group's coordinator lets itself be found; only then a commit is answered at once."""
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        message = consumer.poll(_LOOK_SECONDS)
        if message is not None and is_denied(cast("KafkaError", message.error())):
            return False
        try:
            consumer.committed(nowhere, _LOOK_SECONDS)
        except KafkaException as error:
            if is_denied(error.args[0]):
                return False
        else:
            return True
    raise Ended(f"the coordinator of the group {group} did not answer for {_SECONDS:.0f} s")


def _may_commit(consumer: Consumer, nowhere: list[TopicPartition]) -> bool:
    try:
        consumer.commit(offsets=nowhere, asynchronous=False)
    except KafkaException as error:
        return not is_denied(error.args[0])
    return True


def _missing_of_transactions(clients: Clients, rights: Rights) -> Iterator[str]:
    """Takes an id that no pod writes with."""
    lane = Lane(
        {**clients.lanes()[0], "transactional.id": f"{clients.group}.{clients.instance}.try", "logger": _silent},
        _SECONDS,
        rights.topics.full(REQUESTS.name),
    )
    try:
        lane.open()
    except Refused:
        yield named(rights.orchestrators_transactions)
    finally:
        lane.close()
