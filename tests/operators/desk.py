"""The orchestrator's side of the topics, written by hand from the contract, for tests on a real Kafka."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from app.operators.cli import app
from tests.devkafka.support import LIMIT, transactional_producer, until
from tests.samples.wire import end_of

PARTITIONS = 3
TOPICS = {
    "saga.operations": {},
    "saga.events": {},
    "saga.dead-letters": {},
    "saga.state": {"cleanup.policy": "compact"},
}
Record = tuple[str, bytes, bytes | None, list[tuple[str, bytes | None]]]
"""Topic without prefix, key, value, headers."""


@dataclass(frozen=True, slots=True)
class Given:
    """An operation as it was read from its topic."""

    key: bytes
    value: dict[str, str]
    headers: dict[str, str]
    raw: Any

    @property
    def partition(self) -> int:
        """Where it is."""
        return int(self.raw.partition())


class Desk:
    """Topics of one test's own, made when it begins."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap, self.prefix = bootstrap, prefix
        self.where = ("--bootstrap", bootstrap, "--prefix", prefix)
        self._common = {"bootstrap.servers": bootstrap, "log_level": 2}
        admin = AdminClient(self._common)
        topics = [NewTopic(prefix + name, PARTITIONS, 1, config=config) for name, config in TOPICS.items()]
        for made in admin.create_topics(topics).values():
            made.result(LIMIT)
        names = {prefix + name for name in TOPICS}
        until(lambda: names <= admin.list_topics(timeout=LIMIT).topics.keys(), "the topics are known")

    def saga(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        result = CliRunner().invoke(app, [*words, *self.where])
        return result.exit_code, result.stdout, result.stderr

    @contextmanager
    def operations(self) -> Iterator[Callable[[], Given]]:
        """Waits for one more operation at each call."""
        reader = {"group.id": f"{self.prefix}none", "auto.offset.reset": "error", "enable.auto.commit": False}
        with closing(Consumer({**self._common, **reader})) as consumer:
            places = [TopicPartition(f"{self.prefix}saga.operations", number) for number in range(PARTITIONS)]
            for place in places:
                end_of(consumer, place)  # answers when the new topic is ready
                place.offset = OFFSET_BEGINNING
            consumer.assign(places)

            def one_more() -> Given:
                message = consumer.poll(LIMIT)
                assert message is not None, "no operation came"
                assert message.error() is None, message.error()
                headers = {name: value.decode() for name, value in message.headers()}
                return Given(message.key(), orjson.loads(message.value()), headers, message)

            yield one_more

    def count(self) -> int:
        """How many operations were written."""
        reader = {"group.id": f"{self.prefix}none"}
        with closing(Consumer({**self._common, **reader})) as consumer:
            places = [TopicPartition(f"{self.prefix}saga.operations", number) for number in range(PARTITIONS)]
            return sum(end_of(consumer, place) for place in places)

    def pod(self, name: str = "pod") -> Producer:
        """Whoever writes in transactions."""
        return transactional_producer(self.bootstrap, self.prefix + name)

    def begin(self, pod: Producer, partition: int, *records: Record) -> None:
        """Writes records in a transaction that stays open."""
        pod.begin_transaction()
        for topic, key, value, headers in records:
            pod.produce(self.prefix + topic, value, key, partition, headers=headers)
        assert pod.flush(LIMIT) == 0

    def write(self, partition: int, *records: Record) -> None:
        """Writes records in a transaction, and commits it."""
        pod = self.pod(f"writer-{partition}")
        self.begin(pod, partition, *records)
        pod.commit_transaction(LIMIT)

    @contextmanager
    def answering(self, answer: Callable[[Given], None]) -> Iterator[None]:
        """Answers one operation as soon as it is written, on a thread of its own."""
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with self.operations() as one_more:
                    answer(one_more())
            except BaseException as error:  # noqa: BLE001 - told to the test below
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join(LIMIT)
        assert failed == []


def decision(operation: Given, *events: Mapping[str, object], order: str = "", id: str = "") -> Record:
    """What the orchestrator writes into `saga.events`; another order or id makes it that of another message."""
    order_id = order or operation.key.decode()
    cause = {
        "topic": operation.raw.topic(),
        "partition": operation.partition,
        "offset": operation.raw.offset(),
        "id": id or operation.headers["ce_id"],
        "type": operation.headers["ce_type"],
    }
    document = {
        "saga_id": order_id,
        "saga": "order",
        "version": 1,
        "seq": 9,
        "at": "2026-01-02T03:04:05.006Z",
        "cause": cause,
        "events": events,
    }
    return "saga.events", order_id.encode(), orjson.dumps(document), []


def dead_letter(operation: Given, reason: str, message: str) -> Record:
    """What the orchestrator writes into `saga.dead-letters`."""
    errors: list[tuple[str, bytes | None]] = [
        ("__saga.errors.reason", reason.encode()),
        ("__saga.errors.message", message.encode()),
    ]
    return "saga.dead-letters", operation.key, operation.raw.value(), [*operation.raw.headers(), *errors]
