"""The loop of a sample service: commands in, books written, replies out, and only then the commands count as read.

Whenever the process dies, commands not yet answered are read again and get the answers that stand in the books.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from app.ops.site import Site
from app.samples import clients
from app.samples.behaviour import Behaviour, Crash
from app.samples.clients import Sender
from app.samples.desk import Desk
from app.samples.ledger import Ledger
from app.samples.positions import Positions
from app.samples.replies import Outbox, Place, Reply
from app.samples.service import Service
from app.samples.trouble import Trouble
from app.wire.bad import Bad
from app.wire.envelope import headers_of

_BATCH = 1000  # commands
_UNDER_WAY = 10_000  # replies that may wait for their time; then no more commands are read
_WAIT = 0.2  # seconds at most until the next look whether to stop
_COMMIT_EVERY = 0.2  # seconds under load; at once when there is nothing to do
_KILLED = 137  # the exit code of a process that was killed

_log = logging.getLogger(__name__)


class Participant:
    """One process of a service. `instance` must differ from that of every other process of the same service.

    `clock` gives seconds that never go back; outages are counted from when `run` was called.
    """

    def __init__(
        self,
        service: Service,
        behaviour: Behaviour,
        ledger: Ledger,
        site: Site,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._service = service
        self._behaviour = behaviour
        self._ledger = ledger
        self._desk = Desk(service, behaviour, ledger)
        self._topic = site.full(service.commands_topic)
        self._sender = Sender(site)
        self._consumer = clients.consumer(site, f"{service.name}-service", instance)
        self._positions = Positions()
        self._outbox = Outbox()
        self._turnovers = 0
        self._clock = clock
        self._started_at = self._committed_at = clock()
        self.answered = 0

    def run(self, stopped: Callable[[], bool]) -> None:
        """Serves until it is stopped. Raises Trouble when that isn't possible (any more)."""
        self._started_at = self._clock()
        with closing(self._consumer):
            self._sender.require(self._service.commands_topic, self._service.replies_topic)
            self._consumer.subscribe([self._topic], on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not stopped():
                if self._seconds() in self._behaviour.away:
                    time.sleep(_WAIT)
                else:
                    self._turn()
            self._commit(wait=True)
            self._leave()

    def _leave(self) -> None:
        """Takes note of an assignment that is on its way: the client's closing can hang on one."""
        self._consumer.unsubscribe()
        self._consumer.poll(_WAIT)

    def _turn(self) -> None:
        messages = self._poll()
        if messages:
            self._take_in(messages)
        self._send(self._outbox.due(self._clock()))
        if not messages or self._clock() - self._committed_at > _COMMIT_EVERY:
            self._commit(wait=False)

    def _poll(self) -> list[Any]:
        """The first command as soon as it comes, and with it all that came meanwhile."""
        wait = self._outbox.wait(self._clock(), _WAIT)
        if len(self._outbox) >= _UNDER_WAY:
            time.sleep(wait)
            return []
        first = self._consumer.poll(wait)
        if first is None:
            return []
        turnovers = self._turnovers
        rest = self._consumer.consume(_BATCH, 0)
        # Were the partitions given away in between, then whoever has them now reads the first one again.
        messages = [first, *rest] if turnovers == self._turnovers else rest
        return [message for message in messages if _is_record(message)]

    def _take_in(self, messages: list[Any]) -> None:
        """Answers a batch: all that it changes in the books is kept together, before anybody hears of it."""
        seconds = self._seconds()
        with self._ledger.transaction():
            replies = [self._answer(message, seconds) for message in messages]
        now = self._clock()
        for message, reply in zip(messages, replies, strict=True):
            place = (message.partition(), message.offset())
            self._positions.read(place)
            if reply is None:
                self._positions.answered(place)
            else:
                self._outbox.put(now, place, reply)

    def _seconds(self) -> float:
        return self._clock() - self._started_at

    def _answer(self, message: Any, seconds: float) -> Reply | None:
        """What to send for a command; None for a record that doesn't say whom to answer."""
        now_ms = time.time_ns() // 1_000_000
        try:
            return self._desk.answer(message.key(), message.value(), headers_of(message), now_ms, seconds)
        except Bad as bad:
            place = {"topic": message.topic(), "partition": message.partition(), "offset": message.offset()}
            _log.warning("skipped a record that is no command: %s", bad.message, extra={**place, "code": bad.code})
            return None

    def _send(self, due: Sequence[tuple[Place, Reply]]) -> None:
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
        for place, _ in due:
            self._positions.answered(place)
        self.answered += len(due)

    def _crash(self, reply: Reply) -> None:
        if self._ledger.may_crash(reply.command_id):
            os._exit(_KILLED)

    def _commit(self, *, wait: bool) -> None:
        offsets = [TopicPartition(self._topic, *place) for place in self._positions.moved().items()]
        self._committed_at = self._clock()
        try:
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=not wait)
        except KafkaException as error:
            # Nothing is lost: what isn't committed is read again and gets the same answers.
            _log.warning("positions were not committed: %s", error.args[0].str(), extra={"topic": self._topic})

    def _on_revoke(self, _consumer: Any, _partitions: Any) -> None:
        self._commit(wait=True)
        self._on_lost(_consumer, _partitions)

    def _on_lost(self, _consumer: Any, _partitions: Any) -> None:
        self._turnovers += 1
        self._positions.forget()
        self._outbox.forget()


def _is_record(message: Any) -> bool:
    """Raises Trouble for an error that doesn't pass by itself."""
    error = message.error()
    if error is None:
        return True
    if error.code() == KafkaError._FATAL:
        raise Trouble(f"Kafka shut this process out (does another one run with its --instance?): {error.str()}")
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        raise Trouble(f"the topic of the commands is gone: {error.str()}")
    return False
