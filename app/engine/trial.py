"""Tries what no broker tells beforehand: whether the group may be used, and transactions begun. Nothing comes of it."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

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
    said: list[KafkaError] = []
    told = {"on_commit": lambda error, places: said.extend(_errors(error, places)), "logger": _silent}
    with closing(Consumer({**clients.reader(), **told})) as consumer:
        place = TopicPartition(rights.topics.full(REQUESTS.name), _NO_PARTITION, 0)
        consumer.commit(offsets=[place], asynchronous=True)
        end = time.monotonic() + _SECONDS
        while not said:
            if time.monotonic() > end:
                raise Ended(f"the coordinator of the group {clients.group} did not answer for {_SECONDS:.0f} s")
            message = consumer.poll(_LOOK_SECONDS)
            if message is not None and message.error() is not None and is_denied(message.error()):
                said.append(message.error())
    if any(map(is_denied, said)):
        yield named(rights.orchestrators_group)


def _errors(error: KafkaError | None, places: list[TopicPartition]) -> list[KafkaError]:
    found: list[Any] = [error, *(place.error for place in places or ())]
    return [each for each in found if each is not None]


def _missing_of_transactions(clients: Clients, rights: Rights) -> Iterator[str]:
    """Takes an id that no pod writes with."""
    lane = Lane(
        {**clients.lanes()[0], "transactional.id": f"{clients.group}.{clients.instance}.try", "logger": _silent},
        _SECONDS,
    )
    try:
        lane.open()
    except Refused:
        yield named(rights.orchestrators_transactions)
    finally:
        lane.close()
