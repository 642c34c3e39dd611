"""The loop of a sample service: read commands, write the ledger, send the replies, and only then commit the offsets.

Whenever the process dies, unanswered commands are read again, and get the answers that are in the ledger.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.samples import kafka_clients
from app.samples.kafka_clients import Sender
from app.samples.participant.answered_offsets import AnsweredOffsets
from app.samples.participant.command_handler import CommandHandler
from app.samples.participant.fault_plan import Crash, FaultPlan
from app.samples.participant.ledger import Ledger
from app.samples.participant.reply_outbox import CommandPosition, Outbox, Reply
from app.samples.services.base import Service
from app.wire.envelope import headers_of
from app.wire.invalid_record import InvalidRecord

_BATCH = 1000  # commands
_OUTBOX_LIMIT = 10_000  # replies waiting for their delay beyond which no more commands are read
_WAIT = 0.2  # most seconds until the loop sees that it is to stop
_COMMIT_EVERY = 0.2  # seconds under load; an idle service commits at once
_KILLED = 137  # the exit code of a process that was killed

_log = logging.getLogger(__name__)


class ParticipantServer:
    """One process of a service. `instance` must be unique among the processes of the service.

    `clock` gives monotonic seconds; outages count from the call of `run`.
    """

    def __init__(
        self,
        service: Service,
        faults: FaultPlan,
        ledger: Ledger,
        cluster: KafkaCluster,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._faults = faults
        self._ledger = ledger
        self._handler = CommandHandler(service, faults, ledger)
        self._topic = cluster.full(service.commands_topic)
        self._sender = Sender(cluster)
        self._consumer = kafka_clients.consumer(cluster, f"{service.name}-service", instance)
        self._positions = AnsweredOffsets()
        self._outbox = Outbox()
        self._rebalances = 0
        self._clock = clock
        self._started_at = self._committed_at = clock()
        self.answered = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serves until `stopped` returns True. Raises CommandFailed when topics are missing, or brokers refuse."""
        self._started_at = self._clock()
        with closing(self._consumer):
            self._sender.require(self._service.commands_topic, self._service.replies_topic)
            self._consumer.subscribe([self._topic], on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not stopped():
                if self._seconds() in self._faults.away:
                    time.sleep(_WAIT)
                else:
                    self._run_once()
            self._commit(wait=True)
            self._leave_group()

    def _leave_group(self) -> None:
        """Polls once more for a pending assignment, on which the client's close can hang."""
        self._consumer.unsubscribe()
        self._consumer.poll(_WAIT)

    def _run_once(self) -> None:
        messages = self._poll()
        if messages:
            self._process(messages)
        self._send(self._outbox.due(self._clock()))
        if not messages or self._clock() - self._committed_at > _COMMIT_EVERY:
            self._commit(wait=False)

    def _poll(self) -> list[Any]:
        """The next command as soon as it comes, and those that the client has fetched by then."""
        wait = self._outbox.wait(self._clock(), _WAIT)
        if len(self._outbox) >= _OUTBOX_LIMIT:
            time.sleep(wait)
            return []
        first = self._consumer.poll(wait)
        if first is None:
            return []
        rebalances = self._rebalances
        rest = self._consumer.consume(_BATCH, 0)
        # If the partitions were revoked in between, their next owner reads the first command again.
        messages = [first, *rest] if rebalances == self._rebalances else rest
        return [message for message in messages if _is_record(message)]

    def _process(self, messages: list[Any]) -> None:
        """Decides the replies of a batch in one transaction of the ledger, committed before any reply is sent."""
        seconds = self._seconds()
        with self._ledger.transaction():
            replies = [self._answer(message, seconds) for message in messages]
        now = self._clock()
        for message, reply in zip(messages, replies, strict=True):
            command = (message.partition(), message.offset())
            self._positions.read(command)
            if reply is None:
                self._positions.answered(command)
            else:
                self._outbox.put(now, command, reply)

    def _seconds(self) -> float:
        return self._clock() - self._started_at

    def _answer(self, message: Any, seconds: float) -> Reply | None:
        """The reply to a command; None for a record that names no addressee."""
        now_ms = time.time_ns() // 1_000_000
        try:
            return self._handler.answer(message.key(), message.value(), headers_of(message), now_ms, seconds)
        except InvalidRecord as bad:
            at = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            _log.warning("record skipped, not a command: %s", bad.message, extra={**at, "code": bad.code})
            return None

    def _send(self, due: Sequence[tuple[CommandPosition, Reply]]) -> None:
        for _, reply in due:
            if reply.crash is Crash.BEFORE_REPLY:
                self._crash(reply)
            for _ in range(reply.copies):
                self._sender.send(self._service.replies_topic, reply.key, reply.value, reply.headers)
            if reply.crash is Crash.AFTER_REPLY:
                self._sender.flush()
                self._crash(reply)
        if due:
            self._sender.flush()
        for command, _ in due:
            self._positions.answered(command)
        self.answered += len(due)

    def _crash(self, reply: Reply) -> None:
        if self._ledger.may_crash(reply.command_id):
            os._exit(_KILLED)

    def _commit(self, *, wait: bool) -> None:
        offsets = [TopicPartition(self._topic, *position) for position in self._positions.moved().items()]
        self._committed_at = self._clock()
        try:
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # Nothing is lost: commands beyond the committed offsets are read again, and get the same answers.
            _log.warning("offsets not committed: %s", error.args[0].str(), extra={"topic": self._topic})

    def _on_revoke(self, _consumer: Any, _partitions: Any) -> None:
        self._commit(wait=True)
        self._on_lost(_consumer, _partitions)

    def _on_lost(self, _consumer: Any, _partitions: Any) -> None:
        self._rebalances += 1
        self._positions.forget()
        self._outbox.forget()


def _is_record(message: Any) -> bool:
    """False for an error that may pass by itself; CommandFailed for a fatal one, or when the topic is gone."""
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._FATAL:
        raise CommandFailed(f"Kafka fenced this process (does another one run with its --instance?): {error.str()}")
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise CommandFailed(f"the commands topic was deleted: {error.str()}")
    return False
