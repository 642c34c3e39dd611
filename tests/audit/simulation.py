"""The product's own decisions in a run without Kafka: shops, operators and participants act at random, by a seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from app.audit.recording.recording import Recording
from app.audit.spec import spec_of
from app.engine.processor import Record, SagaProcessor
from app.saga.definition import Saga, with_policy
from app.saga.state import FINAL, Progress, Queued, due_ms, stuck
from app.saga.versions import Versions
from app.wire import state_codec
from app.wire.topics import TopicPartitionKey
from app.wire.writer import Origin, OutputRecord
from tests.audit.topic_logs import INPUTS, PARTITIONS, START_MS, OrderInputs, TopicLogs
from tests.slot import Slot

SlotKey = tuple[str, int]
"""An order id and a partition: each partition has a store of its own."""


@dataclass
class RandomAdmission:
    """Admission to participants by chance. With `unlimited`, there is always capacity."""

    random: random.Random
    unlimited: bool = False

    def try_acquire(self, _: str) -> bool:
        """True in four of five cases."""
        return self.unlimited or self.random.random() < 0.8

    def keeps_slot(self, _: str) -> bool:
        """True in half of the cases."""
        return self.random.random() < 0.5

    def on_success(self, _: str) -> None:
        """Changes nothing."""

    def on_failure(self, _: str, __: int) -> None:
        """Changes nothing."""


@dataclass
class Simulation:
    """The logs, the orchestrator's states and positions, and the effects that participants have applied.

    The orchestrator starts with the first of `versions`, and is deployed again with each next one.
    """

    seed: int
    versions: tuple[Versions, ...]
    logs: TopicLogs = field(default_factory=lambda: TopicLogs(traced=True))
    slots: dict[SlotKey, Slot] = field(default_factory=dict)
    positions: dict[TopicPartitionKey, int] = field(default_factory=dict)
    pending: list[tuple[str, str]] = field(default_factory=list)
    """Commands that no participant has handled yet: order id and command id."""
    applied: dict[str, str] = field(default_factory=dict)
    """By idempotency key: the reply type that every copy of the command gets."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.admission = RandomAdmission(self.random)
        self.spec = spec_of(self.versions[-1])
        self.steps = self.spec.steps

    @property
    def now(self) -> int:
        """In ms since 1970."""
        return START_MS + self.logs.clock_ms

    def run(self, actions: int) -> Recording:
        """Takes random actions, then does all work that is left, without failures. Returns a settled recording."""
        choices = [self.shop, self.shop, self.operator, self.operator, self.invalid_record, self.fire_timer]
        choices += [self.give_capacity] + [self.orchestrate] * 8 + [self.participate] * 6
        for versions in self.versions:
            self.processor = SagaProcessor(versions.each(hurried), PARTITIONS, traces=self.seed % 2 == 1)
            self.inputs = spec_of(versions).inputs
            for _ in range(actions // len(self.versions)):
                self.random.choice(choices)()
        self.admission.unlimited = True
        while self.orchestrate() or self.participate(failures=False) or self.give_capacity() or self.fire_timer():
            pass
        recording = self.logs.recording()
        return replace(recording, committed={key: offset for key, offset in self.positions.items() if offset})

    def order(self) -> OrderInputs:
        """One of five orders."""
        number = self.random.randrange(5)
        return OrderInputs(self.logs, f"order-{number}", minor=100 + number, quantity=1 + number)

    def shop(self) -> None:
        """Places an order, maybe again, with other content or in a wrong partition; or cancels one."""
        order, draw = self.order(), self.random.random()
        if draw < 0.7:
            order.place()
        elif draw < 0.8:
            order.place(customer_id="another")
        elif draw < 0.9:
            placed = order.place()
            self.logs.records.pop()
            self.logs.ends[placed.topic, placed.partition] -= 1
            value, partition = placed.value, self.random.randrange(PARTITIONS)
            self.logs.put("order.requests", order.id, value, placed.headers, partition)
        else:
            order.submit("order.cancel")

    def operator(self) -> None:
        """Submits an operation, valid or not, but mostly for a stuck saga."""
        stuck_steps = ((id, stuck(progress.state)) for (id, _), _, progress in self.live())
        stuck_sagas = [(id, [active.step for active in steps]) for id, steps in stuck_steps if steps]
        operations = ["saga.retry", "saga.skip", "saga.compensate"]
        if stuck_sagas and self.random.random() < 0.8:
            id, steps = self.random.choice(stuck_sagas)
            type = self.random.choice(operations)
            step = self.random.choice([*steps, *steps, None, None, self.random.choice([*self.steps, "no-step"])])
            OrderInputs(self.logs, id).submit(type, step=None if type == "saga.compensate" else step)
        else:
            self.order().submit(self.random.choice(operations))

    def invalid_record(self) -> None:
        """Writes a malformed record, or a reply to a command that was never sent."""
        order = self.order()
        if self.random.random() < 0.5:
            self.logs.put(self.random.choice(self.inputs), order.id, b"{", [("ce_id", b"x")])
        else:
            step = self.random.choice([step for step in self.steps.values() if step.replies_topic in self.inputs])
            direction = self.random.choice(["do", "undo"])
            self.reply(order.id, f"{order.id}:{step.name}:{direction}:9", step.succeeded)

    def live(self) -> Iterator[tuple[SlotKey, Slot, Progress]]:
        """The sagas that have a state."""
        return ((key, slot, slot.progress) for key, slot in self.slots.items() if slot.progress)

    def fire_timer(self) -> bool:
        """Fires the next timer of any saga; False if there is none. While the run settles, no saga expires."""
        sagas = ((due_ms(p.state), key) for key, _, p in self.live() if not (self.admission.unlimited and is_over(p)))
        due, key = min(((due, key) for due, key in sagas if due is not None), default=(None, ("", 0)))
        if due is None:
            return False
        self.logs.clock_ms = max(self.logs.clock_ms, due - START_MS)
        slot = self.slots[key]
        self.write(self.processor.on_timer(key[0], due, slot, self.now), key[0], slot)
        if slot.progress is None:
            self.logs.put("saga.state", key[0], None)
        return True

    def give_capacity(self) -> bool:
        """Gives capacity to a queued step; False if there is none."""
        active = ((key, step) for key, _, p in self.live() for step in getattr(p.state, "active_steps", ()))
        queued = [(key, step.step) for key, step in active if isinstance(step, Queued)]
        if not queued:
            return False
        key, step = self.random.choice(queued)
        slot = self.slots[key]
        self.write(self.processor.on_capacity(key[0], step, slot, self.now), key[0], slot)
        return True

    def orchestrate(self) -> bool:
        """Processes the next record of a random partition; False if all records are read."""
        records, positions = self.logs.records, self.positions
        unread = [r for r in records if r.topic in INPUTS and r.offset >= positions.get((r.topic, r.partition), 0)]
        if not unread:
            return False
        partition = self.random.choice([(r.topic, r.partition) for r in unread])
        record = next(r for r in unread if (r.topic, r.partition) == partition)
        positions[partition] = record.offset + 1
        origin = Origin(self.logs.prefix + record.topic, record.partition, record.offset, record.timestamp_ms)
        saga_id = (record.key or b"").decode()
        slot = self.slots.setdefault((saga_id, record.partition), Slot(self.admission))
        given = Record(origin, record.key, record.value, list(record.headers))
        self.write(self.processor.on_record(record.topic, given, slot, self.now), saga_id, slot)
        return True

    def write(self, outputs: list[OutputRecord], saga_id: str, slot: Slot) -> None:
        """Writes the output records, and the state after each decision."""
        for output in outputs:
            key = None if output.key is None else output.key.decode()
            self.logs.put(output.topic, key, output.value, output.headers, output.partition)
            if output.topic.endswith(".commands"):
                self.pending.append((saga_id, dict(output.headers)["ce_id"].decode()))  # type: ignore[union-attr]
            elif output.topic == "saga.events" and slot.progress:
                self.logs.put("saga.state", saga_id, state_codec.encode(slot.progress))

    def participate(self, *, failures: bool = True) -> bool:
        """A participant handles a command: it replies once, twice or never, or fails; False if there is no command."""
        if not self.pending:
            return False
        saga_id, command = self.pending.pop(self.random.randrange(len(self.pending)))
        _, name, direction, _ = command.rsplit(":", 3)
        draw = self.random.random() if failures else 1.0
        if draw < 0.25:
            self.reply(saga_id, command, self.steps[name].failed, retryable=self.random.random() < 0.7)
        else:
            type = self.apply(command.rpartition(":")[0], name, direction, refuse=draw < 0.4)
            for _ in range(0 if draw < 0.55 else 2 if draw < 0.65 else 1):
                self.reply(saga_id, command, type)
        return True

    def apply(self, idempotency_key: str, name: str, direction: str, *, refuse: bool) -> str:
        """Applies an effect once, and returns its reply type. A do that comes after its undo is refused."""
        step = self.steps[name]
        if direction == "undo":
            return self.applied.setdefault(idempotency_key, step.undone or "")
        late = f"{idempotency_key.removesuffix('do')}undo" in self.applied
        type = (step.refused if refuse or late else None) or step.succeeded
        return self.applied.setdefault(idempotency_key, type)

    def reply(self, saga_id: str, command: str, type: str, **body: Any) -> None:
        """Writes a reply to a command."""
        _, name, direction, attempt = command.rsplit(":", 3)
        OrderInputs(self.logs, saga_id).reply(type, f"{name}:{direction}", int(attempt), **body)


def hurried(saga: Saga) -> Saga:
    """The saga with short times and few attempts, so that each of them runs out now and then."""
    return with_policy(saga, timeout_ms=1_000, attempts=2, deadline_ms=5_000, retention_ms=3_000)


def is_over(progress: Progress) -> bool:
    """The saga has ended."""
    return isinstance(progress.state, FINAL)


def decisions_text(recording: Recording) -> str:
    """The decisions of a recording, one per line, for the report of a failed test."""
    decisions = (orjson.loads(r.value or b"{}") for r in recording.records if r.topic == "saga.events")
    return "\n".join(f"{d['saga_id']} {d['seq']} {d['cause']} {[e['type'] for e in d['events']]}" for d in decisions)
