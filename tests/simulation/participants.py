"""Participants that keep the contract, and misbehave within it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from app.saga.definition import Step
from app.wire.writer import Out
from tests.simulation.kafka import Kafka, Message
from tests.simulation.plan import Whims

Send = Callable[[int, Out], None]
"""Sends a record after so many ms."""

Reply = tuple[str, bytes]
_SLOW = 3  # times the time-out, at most


@dataclass(slots=True)
class Book:
    """What a participant did for one order: what it was asked to do, and whether that still stands."""

    asked: dict[str, Any]
    stands: bool = True


@dataclass(slots=True)
class _Asked:
    order: str
    command: str
    effect: str
    message: Message


class Participant:
    """Does each effect at most once; answers every copy of a command alike; refuses a do that comes after its undo."""

    def __init__(self, step: Step, kafka: Kafka, chance: Random, send: Send) -> None:
        self.step = step
        self.books: dict[str, Book] = {}
        self._kafka = kafka
        self._chance = chance
        self._send = send
        self._read = dict.fromkeys(range(kafka.partitions), 0)
        self._logs = [kafka.logs[kafka.topics.full(step.commands_topic), at] for at in self._read]
        self._final: dict[str, Reply] = {}
        self._failures: dict[str, Reply] = {}
        self._sent = 0

    @property
    def behind(self) -> bool:
        """Whether there are commands that it has not read."""
        return any(self._read[log.partition] < len(log.records) for log in self._logs)

    def serve(self, whims: Whims) -> None:
        """Reads all that is there."""
        for log in self._logs:
            start = self._read[log.partition]
            if start < len(log.records):
                self._read[log.partition] = len(log.records)
                for message in log.records[start:]:
                    if message is not None:
                        self._take(message, whims)

    def _take(self, message: Message, whims: Whims) -> None:
        luck = self._chance.random
        if luck() < whims.drop:
            return
        headers = dict(message.headers() or ())
        command, effect = _text(headers["ce_id"]), _text(headers["ce_idempotencykey"])
        asked = _Asked(_text(message.key()), command, effect, message)
        reply = self._reply(asked, self._answer(asked, whims))
        for _ in range(0 if luck() < whims.lose else 1 + (luck() < whims.duplicate) + (luck() < whims.duplicate / 3)):
            self._send(self._latency(whims), reply)

    def _answer(self, asked: "_Asked", whims: Whims) -> Reply:
        found = self._failures.get(asked.command) or self._final.get(asked.effect)
        if found is not None:
            return found
        luck = self._chance.random()
        if luck < whims.fail + whims.fail_for_good:
            again = luck < whims.fail
            if self._chance.random() < 0.3:  # it fails when the work was done already
                self._settle(asked, whims)
            value = {"order_id": asked.order, "reason": "out of order", "retryable": again}
            self._failures[asked.command] = self.step.failed, orjson.dumps(value)
            return self._failures[asked.command]
        return self._settle(asked, whims)

    def _settle(self, asked: "_Asked", whims: Whims) -> Reply:
        """The first and last answer to an effect."""
        back = asked.effect.endswith(":undo")
        reply = self._final[asked.effect] = self._undo(asked.order) if back else self._do(asked, whims)
        return reply

    def _undo(self, order: str) -> Reply:
        book = self.books.get(order)
        if book is not None:
            book.stands = False
        return self.step.undone or "", b'{"order_id":"%b"}' % order.encode()

    def _do(self, asked: "_Asked", whims: Whims) -> Reply:
        refused, order = self.step.refused, asked.order
        undone = f"{asked.effect.removesuffix(':do')}:undo" in self._final
        if refused is not None and (undone or self._chance.random() < whims.refuse):
            return refused, orjson.dumps({"order_id": order, "reason": "undone before" if undone else "not possible"})
        self.books[order] = Book(orjson.loads(asked.message.value() or b""))
        return self.step.succeeded, orjson.dumps({"order_id": order, self.step.result: f"{self.step.name}-{order}"})

    def _reply(self, asked: "_Asked", reply: Reply) -> Out:
        """The reply as a record; one in fifty has all of the envelope in its value."""
        type, value = reply
        self._sent += 1
        id, key, partition = f"{self.step.name}-{self._sent}", asked.message.key(), asked.message.partition()
        if self._sent % 50 == 0:
            whole = {"specversion": "1.0", "id": id, "type": type, "causationid": asked.command}
            whole["data"] = orjson.loads(value)
            headers = [("content-type", b"application/cloudevents+json")]
            return Out(self.step.replies_topic, key, orjson.dumps(whole), headers, partition)
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id.encode()),
            ("ce_type", type.encode()),
            ("ce_causationid", asked.command.encode()),
            ("content-type", b"application/json"),
        ]
        return Out(self.step.replies_topic, key, value, headers, partition)

    def _latency(self, whims: Whims) -> int:
        if self._chance.random() < whims.slow:
            return self._chance.randrange(_SLOW * self.step.do.timeout_ms)
        return int(whims.latency_ms * (0.2 + 2 * self._chance.random()))


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
