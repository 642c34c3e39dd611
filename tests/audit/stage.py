"""A play of the product's own turns without a Kafka: shops, operators and participants, all drawn from one seed."""

import random
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from app.audit.recording import Place, Recording
from app.engine.turn import Record, Turns
from app.saga.definition import with_policy
from app.saga.state import Progress, Stuck, due_ms
from app.wire import statedoc
from app.wire.writer import Origin, Out
from tests.audit.world import PARTITIONS, READ, Case, World
from topologies.order import ORDER

STEPS = {"reservation": ("reserved", "rejected", "released"), "payment": ("charged", "declined", "refunded")}


@dataclass
class Slot:
    """The state of one saga."""

    progress: Progress | None = None

    def get(self) -> Progress | None:
        """What is stored."""
        return self.progress

    def set(self, progress: Progress) -> None:
        """Stores it."""
        self.progress = progress


@dataclass
class Play:
    """The logs, the orchestrator's states and positions, and what the participants have done."""

    seed: int
    world: World = field(default_factory=World)
    slots: dict[tuple[str, int], Slot] = field(default_factory=dict)
    """By saga and partition, as each partition has a store of its own."""
    read: dict[Place, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Commands that no participant has looked at yet: saga and id."""
    done: dict[str, str] = field(default_factory=dict)
    """By idempotency key, the verb that each copy of the command is answered with."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.turns = Turns(with_policy(ORDER, timeout_ms=1_000, attempts=2), PARTITIONS)
        self.now = 0

    def perform(self, acts: int) -> Recording:
        """Some acts by chance, then everything that is left to do; what is left is done without trouble."""
        acting = [self.shop, self.shop, self.people, self.nonsense, self.time_passes]
        acting += [self.orchestrate] * 8 + [self.participate] * 6
        for _ in range(acts):
            self.chance.choice(acting)()
        while self.orchestrate() or self.participate(trouble=False) or self.time_passes():
            pass
        recording = self.world.recording()
        return replace(recording, committed={place: offset for place, offset in self.read.items() if offset})

    def case(self) -> Case:
        """One of a few orders."""
        number = self.chance.randrange(5)
        return Case(self.world, f"order-{number}", minor=100 + number, quantity=1 + number)

    def shop(self) -> None:
        """Places an order, again, with other content or in a wrong partition; or cancels it."""
        case, luck = self.case(), self.chance.random()
        if luck < 0.7:
            case.place()
        elif luck < 0.8:
            case.place(customer_id="another")
        elif luck < 0.9:
            placed = case.place()
            self.world.records.pop()
            self.world.ends[placed.topic, placed.partition] -= 1
            value, partition = placed.value, self.chance.randrange(PARTITIONS)
            self.world.put("order.requests", case.id, value, placed.headers, partition)
        else:
            case.wish("order.cancel")

    def people(self) -> None:
        """An operator acts, with or without reason, but mostly where a saga is stuck."""
        stuck = [id for (id, _), slot in self.slots.items() if slot.progress and isinstance(slot.progress.state, Stuck)]
        if stuck and self.chance.random() < 0.8:
            Case(self.world, self.chance.choice(stuck)).wish(self.chance.choice(["saga.retry", "saga.skip"]))
        else:
            self.case().wish(self.chance.choice(["saga.retry", "saga.skip", "saga.compensate"]))

    def nonsense(self) -> None:
        """A record that no saga can take in, or a reply to what was never asked."""
        case = self.case()
        if self.chance.random() < 0.5:
            self.world.put(self.chance.choice(READ), case.id, b"{", [("ce_id", b"x")])
        else:
            step = self.chance.choice(list(STEPS))
            self.answer(case.id, f"{case.id}:{step}:{self.chance.choice(['do', 'undo'])}:9", STEPS[step][0])

    def time_passes(self) -> bool:
        """The next state that waits for the time is told of it; False when none waits."""
        waiting = ((due_ms(slot.progress.state), place) for place, slot in self.slots.items() if slot.progress)
        due, place = min(((due, place) for due, place in waiting if due is not None), default=(None, ("", 0)))
        if due is None:
            return False
        self.now = max(self.now, due)
        slot = self.slots[place]
        self.write(self.turns.expire(place[0], due, slot, self.now), place[0], slot)
        return True

    def orchestrate(self) -> bool:
        """Takes in the next record of a partition, by chance; False when all are read."""
        unread = [
            r for r in self.world.records if r.topic in READ and r.offset >= self.read.get((r.topic, r.partition), 0)
        ]
        if not unread:
            return False
        place = self.chance.choice([(r.topic, r.partition) for r in unread])
        record = next(r for r in unread if (r.topic, r.partition) == place)
        self.read[place] = record.offset + 1
        origin = Origin(self.world.prefix + record.topic, record.partition, record.offset, record.timestamp_ms)
        saga_id = (record.key or b"").decode()
        slot = self.slots.setdefault((saga_id, record.partition), Slot())
        given = Record(origin, record.key, record.value, list(record.headers))
        self.now += 1
        self.write(self.turns.take(record.topic, given, slot, self.now), saga_id, slot)
        return True

    def write(self, outs: list[Out], saga_id: str, slot: Slot) -> None:
        """Writes what a turn gave, and the state if it decided anything."""
        for out in outs:
            key = None if out.key is None else out.key.decode()
            self.world.put(out.topic, key, out.value, out.headers, out.partition)
            if out.topic.endswith(".commands"):
                self.asked.append((saga_id, dict(out.headers)["ce_id"].decode()))  # type: ignore[union-attr]
            elif out.topic == "saga.events" and slot.progress:
                self.world.put("saga.state", saga_id, statedoc.encode(slot.progress))

    def participate(self, *, trouble: bool = True) -> bool:
        """A participant takes a command: answers once, twice or not at all, or fails; False when there is none."""
        if not self.asked:
            return False
        saga_id, command = self.asked.pop(self.chance.randrange(len(self.asked)))
        _, step, direction, _ = command.rsplit(":", 3)
        luck = self.chance.random() if trouble else 1.0
        if luck < 0.25:
            self.answer(saga_id, command, "failed", retryable=self.chance.random() < 0.7)
        else:
            verb = self.do(command.rpartition(":")[0], step, direction, refuse=luck < 0.4)
            for _ in range(0 if luck < 0.55 else 2 if luck < 0.65 else 1):
                self.answer(saga_id, command, verb)
        return True

    def do(self, effect: str, step: str, direction: str, *, refuse: bool) -> str:
        """Applies an effect once; a do that comes after its undo is refused."""
        succeeded, refused, undone = STEPS[step]
        if direction == "undo":
            return self.done.setdefault(effect, undone)
        late = f"{effect.removesuffix('do')}undo" in self.done
        return self.done.setdefault(effect, refused if refuse or late else succeeded)

    def answer(self, saga_id: str, command: str, verb: str, **body: Any) -> None:
        """Writes a reply."""
        _, step, direction, attempt = command.rsplit(":", 3)
        case = Case(self.world, saga_id)
        case.reply(f"{step}.{verb}", f"{step}:{direction}", int(attempt), **body)


def told(recording: Recording) -> str:
    """The decisions of a recording, one per line, for a failure's report."""
    events = (orjson.loads(r.value or b"{}") for r in recording.records if r.topic == "saga.events")
    return "\n".join(f"{e['saga_id']} {e['seq']} {e['cause']} {[x['type'] for x in e['events']]}" for e in events)
