"""Simulated participants, which keep the contract and misbehave within it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from app.saga.definition import Step
from app.wire.writer import OutputRecord
from tests.simulation.kafka import Message, SimulatedKafka
from tests.simulation.plan import ParticipantFaults

Send = Callable[[int, OutputRecord], None]
"""(delay in ms, record) -> None."""

Reply = tuple[str, bytes]
_SLOW_TIMEOUTS = 3  # the delay of a slow reply, at most


@dataclass(slots=True)
class StepEffect:
    """What a participant did for one order: the command's value, and whether it is not undone."""

    command: dict[str, Any]
    in_effect: bool = True


@dataclass(slots=True)
class _Command:
    order_id: str
    id: str
    effect_key: str
    message: Message


class Participant:
    """Does each effect at most once, replies the same to each copy of a command, and refuses a do after its undo."""

    def __init__(self, step: Step, kafka: SimulatedKafka, rng: Random, send: Send) -> None:
        self.step = step
        self.effects: dict[str, StepEffect] = {}
        self._kafka = kafka
        self._rng = rng
        self._send = send
        self._read = dict.fromkeys(range(kafka.partitions), 0)
        self._logs = [kafka.logs[kafka.topics.full(step.commands_topic), at] for at in self._read]
        self._final_replies: dict[str, Reply] = {}
        self._failures: dict[str, Reply] = {}
        self._replies_sent = 0

    @property
    def has_unread(self) -> bool:
        """Whether there are unread commands."""
        return any(self._read[log.partition] < len(log.records) for log in self._logs)

    def serve(self, faults: ParticipantFaults) -> None:
        """Reads all unread commands, and schedules the replies."""
        for log in self._logs:
            start = self._read[log.partition]
            if start < len(log.records):
                self._read[log.partition] = len(log.records)
                for message in log.records[start:]:
                    if message is not None:
                        self._receive(message, faults)

    def _receive(self, message: Message, faults: ParticipantFaults) -> None:
        roll = self._rng.random
        if roll() < faults.drop_command:
            return
        headers = dict(message.headers() or ())
        id, effect_key = _text(headers["ce_id"]), _text(headers["ce_idempotencykey"])
        command = _Command(_text(message.key()), id, effect_key, message)
        record = self._record(command, self._reply_to(command, faults))
        share = faults.duplicate_reply
        copies = 0 if roll() < faults.lose_reply else 1 + (roll() < share) + (roll() < share / 3)
        for _ in range(copies):
            self._send(self._delay(faults), record)

    def _reply_to(self, command: _Command, faults: ParticipantFaults) -> Reply:
        found = self._failures.get(command.id) or self._final_replies.get(command.effect_key)
        if found is not None:
            return found
        roll = self._rng.random()
        if roll < faults.fail + faults.fail_permanently:
            retryable = roll < faults.fail
            if self._rng.random() < 0.3:  # fails after the work was done
                self._execute(command, faults)
            value = {"order_id": command.order_id, "reason": "out of order", "retryable": retryable}
            self._failures[command.id] = self.step.failed, orjson.dumps(value)
            return self._failures[command.id]
        return self._execute(command, faults)

    def _execute(self, command: _Command, faults: ParticipantFaults) -> Reply:
        """Executes an effect for the first and only time; returns its final reply."""
        is_undo = command.effect_key.endswith(":undo")
        reply = self._undo(command.order_id) if is_undo else self._do(command, faults)
        self._final_replies[command.effect_key] = reply
        return reply

    def _undo(self, order: str) -> Reply:
        effect = self.effects.get(order)
        if effect is not None:
            effect.in_effect = False
        return self.step.undone or "", b'{"order_id":"%b"}' % order.encode()

    def _do(self, command: _Command, faults: ParticipantFaults) -> Reply:
        refused, order = self.step.refused, command.order_id
        undone = f"{command.effect_key.removesuffix(':do')}:undo" in self._final_replies
        if refused is not None and (undone or self._rng.random() < faults.refuse):
            return refused, orjson.dumps({"order_id": order, "reason": "undone before" if undone else "not possible"})
        self.effects[order] = StepEffect(orjson.loads(command.message.value() or b""))
        return self.step.succeeded, orjson.dumps({"order_id": order, self.step.result: f"{self.step.name}-{order}"})

    def _record(self, command: _Command, reply: Reply) -> OutputRecord:
        """The reply as a record; every fiftieth is a structured CloudEvent."""
        type, value = reply
        self._replies_sent += 1
        id = f"{self.step.name}-{self._replies_sent}"
        key, partition = command.message.key(), command.message.partition()
        if self._replies_sent % 50 == 0:
            structured = {"specversion": "1.0", "id": id, "type": type, "causationid": command.id}
            structured["data"] = orjson.loads(value)
            headers = [("content-type", b"application/cloudevents+json")]
            return OutputRecord(self.step.replies_topic, key, orjson.dumps(structured), headers, partition)
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id.encode()),
            ("ce_type", type.encode()),
            ("ce_causationid", command.id.encode()),
            ("content-type", b"application/json"),
        ]
        return OutputRecord(self.step.replies_topic, key, value, headers, partition)

    def _delay(self, faults: ParticipantFaults) -> int:
        if self._rng.random() < faults.slow_reply:
            return self._rng.randrange(_SLOW_TIMEOUTS * self.step.do.timeout_ms)
        return int(faults.latency_ms * (0.2 + 2 * self._rng.random()))


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
