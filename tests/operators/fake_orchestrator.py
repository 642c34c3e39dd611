"""The orchestrator's side of the topics on a real Kafka, written by hand from the wire contract."""

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
class ReadOperation:
    """An operation as it was read from its topic; `raw` is the client's message."""

    key: bytes
    value: dict[str, str]
    headers: dict[str, str]
    raw: Any

    @property
    def partition(self) -> int:
        """The partition that it was read from."""
        return int(self.raw.partition())


class FakeOrchestrator:
    """Topics of one test's own, created by the constructor; `options` lead commands to them."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap, self.prefix = bootstrap, prefix
        self.options = ("--bootstrap", bootstrap, "--prefix", prefix)
        self._common = {"bootstrap.servers": bootstrap, "log_level": 2}
        admin = AdminClient(self._common)
        topics = [NewTopic(prefix + name, PARTITIONS, 1, config=config) for name, config in TOPICS.items()]
        for created in admin.create_topics(topics).values():
            created.result(LIMIT)
        names = {prefix + name for name in TOPICS}
        until(lambda: names <= admin.list_topics(timeout=LIMIT).topics.keys(), "the topics are known")

    def saga(self, *words: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of a command."""
        result = CliRunner().invoke(app, [*words, *self.options])
        return result.exit_code, result.stdout, result.stderr

    @contextmanager
    def operations(self) -> Iterator[Callable[[], ReadOperation]]:
        """A function that waits for the next operation, from the beginning of the topic."""
        reader = {"group.id": f"{self.prefix}none", "auto.offset.reset": "error", "enable.auto.commit": False}
        with closing(Consumer({**self._common, **reader})) as consumer:
            partitions = [TopicPartition(f"{self.prefix}saga.operations", number) for number in range(PARTITIONS)]
            for each in partitions:
                end_of(consumer, each)  # returns when the new topic has leaders
                each.offset = OFFSET_BEGINNING
            consumer.assign(partitions)

            def next_operation() -> ReadOperation:
                message = consumer.poll(LIMIT)
                assert message is not None, "no operation came"
                assert message.error() is None, message.error()
                headers = {name: value.decode() for name, value in message.headers()}
                return ReadOperation(message.key(), orjson.loads(message.value()), headers, message)

            yield next_operation

    def count(self) -> int:
        """The number of operations written."""
        reader = {"group.id": f"{self.prefix}none"}
        with closing(Consumer({**self._common, **reader})) as consumer:
            partitions = [TopicPartition(f"{self.prefix}saga.operations", number) for number in range(PARTITIONS)]
            return sum(end_of(consumer, each) for each in partitions)

    def pod(self, name: str = "pod") -> Producer:
        """A transactional producer, as a pod has one."""
        return transactional_producer(self.bootstrap, self.prefix + name)

    def begin(self, pod: Producer, partition: int, *records: Record) -> None:
        """Writes records in a transaction that stays open."""
        pod.begin_transaction()
        for topic, key, value, headers in records:
            pod.produce(self.prefix + topic, value, key, partition, headers=headers)
        assert pod.flush(LIMIT) == 0

    def write(self, partition: int, *records: Record) -> None:
        """Writes records in a committed transaction."""
        pod = self.pod(f"writer-{partition}")
        self.begin(pod, partition, *records)
        pod.commit_transaction(LIMIT)

    @contextmanager
    def answering(self, answer: Callable[[ReadOperation], None]) -> Iterator[None]:
        """Calls `answer` with the first operation as soon as it is written, on a thread of its own."""
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with self.operations() as next_operation:
                    answer(next_operation())
            except BaseException as error:  # noqa: BLE001 - asserted on the test's thread
                failed.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join(LIMIT)
        assert failed == []


def decision(operation: ReadOperation, *events: Mapping[str, object], order: str = "", id: str = "") -> Record:
    """The decision on an operation in `saga.events`; with another order or id it is about another message."""
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


def dead_letter(operation: ReadOperation, reason: str, message: str) -> Record:
    """The dead letter of an operation in `saga.dead-letters`."""
    errors: list[tuple[str, bytes | None]] = [
        ("__saga.errors.reason", reason.encode()),
        ("__saga.errors.message", message.encode()),
    ]
    return "saga.dead-letters", operation.key, operation.raw.value(), [*operation.raw.headers(), *errors]
