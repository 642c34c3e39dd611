"""A play of the product's own turns without a Kafka: shops, operators and participants, all drawn from one seed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from app.audit.recording import Place, Recording
from app.audit.terms import terms_of
from app.engine.turn import Record, Turns
from app.saga.definition import Saga, with_policy
from app.saga.state import FINAL, Progress, Waiting, due_ms, stuck
from app.saga.versions import Versions
from app.wire import statedoc
from app.wire.writer import Origin, Out
from tests.audit.world import BEGIN_MS, PARTITIONS, READ, Customer, World
from tests.slot import Slot

Slots = dict[tuple[str, int], Slot]


@dataclass
class Chance:
    """A participant's room, drawn by chance; when it is calm there is always some."""

    random: random.Random
    calm: bool = False

    def has_room(self, _: str) -> bool:
        """Mostly."""
        return self.calm or self.random.random() < 0.8

    def bears(self, _: str) -> bool:
        """Sometimes."""
        return self.random.random() < 0.5

    def answered(self, _: str) -> None:
        """It doesn't matter."""

    def troubled(self, _: str, __: int) -> None:
        """Nor does this."""


@dataclass
class Play:
    """The logs, the orchestrator's states and positions, and what the participants have done.

    The orchestrator knows the first versions at first, then the next ones, and so on.
    """

    seed: int
    versions: tuple[Versions, ...]
    world: World = field(default_factory=World)
    slots: Slots = field(default_factory=dict)
    """By saga and partition, as each partition has a store of its own."""
    read: dict[Place, int] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Commands that no participant has looked at yet: saga and id."""
    done: dict[str, str] = field(default_factory=dict)
    """By idempotency key, the type that each copy of the command is answered with."""

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.gate = Chance(self.chance)
        self.terms = terms_of(self.versions[-1])
        self.steps = self.terms.steps

    @property
    def now(self) -> int:
        """In ms since 1970."""
        return BEGIN_MS + self.world.ms

    def perform(self, acts: int) -> Recording:
        """Some acts by chance, then everything that is left to do; what is left is done without trouble."""
        acting = [self.shop, self.shop, self.people, self.people, self.nonsense, self.time_passes, self.room_comes]
        acting += [self.orchestrate] * 8 + [self.participate] * 6
        for versions in self.versions:
            self.turns = Turns(versions.each(hurried), PARTITIONS)
            self.inputs = terms_of(versions).inputs
            for _ in range(acts // len(self.versions)):
                self.chance.choice(acting)()
        self.gate.calm = True
        while self.orchestrate() or self.participate(trouble=False) or self.room_comes() or self.time_passes():
            pass
        recording = self.world.recording()
        return replace(recording, committed={place: offset for place, offset in self.read.items() if offset})

    def customer(self) -> Customer:
        """One of a few orders."""
        number = self.chance.randrange(5)
        return Customer(self.world, f"order-{number}", minor=100 + number, quantity=1 + number)

    def shop(self) -> None:
        """Places an order, again, with other content or in a wrong partition; or cancels it."""
        customer, luck = self.customer(), self.chance.random()
        if luck < 0.7:
            customer.place()
        elif luck < 0.8:
            customer.place(customer_id="another")
        elif luck < 0.9:
            placed = customer.place()
            self.world.records.pop()
            self.world.ends[placed.topic, placed.partition] -= 1
            value, partition = placed.value, self.chance.randrange(PARTITIONS)
            self.world.put("order.requests", customer.id, value, placed.headers, partition)
        else:
            customer.wish("order.cancel")

    def people(self) -> None:
        """An operator acts, with or without reason, but mostly where a saga is stuck."""
        stopped = ((id, stuck(progress.state)) for (id, _), _, progress in self.kept())
        parked = [(id, [leg.step for leg in legs]) for id, legs in stopped if legs]
        wishes = ["saga.retry", "saga.skip", "saga.compensate"]
        if parked and self.chance.random() < 0.8:
            id, steps = self.chance.choice(parked)
            wish = self.chance.choice(wishes)
            step = self.chance.choice([*steps, *steps, None, None, self.chance.choice([*self.steps, "no-step"])])
            Customer(self.world, id).wish(wish, step=None if wish == "saga.compensate" else step)
        else:
            self.customer().wish(self.chance.choice(wishes))

    def nonsense(self) -> None:
        """A record that no saga can take in, or a reply to what was never asked."""
        customer = self.customer()
        if self.chance.random() < 0.5:
            self.world.put(self.chance.choice(self.inputs), customer.id, b"{", [("ce_id", b"x")])
        else:
            step = self.chance.choice([step for step in self.steps.values() if step.replies in self.inputs])
            direction = self.chance.choice(["do", "undo"])
            self.answer(customer.id, f"{customer.id}:{step.name}:{direction}:9", step.succeeded)

    def kept(self) -> Iterator[tuple[tuple[str, int], Slot, Progress]]:
        """The sagas that are remembered."""
        return ((place, slot, slot.progress) for place, slot in self.slots.items() if slot.progress)

    def time_passes(self) -> bool:
        """The next saga that waits for the time is told of it; False when none waits. At last none is forgotten."""
        waiting = ((due_ms(p.state), place) for place, _, p in self.kept() if not (self.gate.calm and is_over(p)))
        due, place = min(((due, place) for due, place in waiting if due is not None), default=(None, ("", 0)))
        if due is None:
            return False
        self.world.ms = max(self.world.ms, due - BEGIN_MS)
        slot = self.slots[place]
        self.write(self.turns.expire(place[0], due, slot, self.now), place[0], slot)
        if slot.progress is None:
            self.world.put("saga.state", place[0], None)
        return True

    def room_comes(self) -> bool:
        """A step that waits for room gets it; False when none waits."""
        legs = ((place, leg) for place, _, p in self.kept() for leg in getattr(p.state, "legs", ()))
        waiting = [(place, leg.step) for place, leg in legs if isinstance(leg, Waiting)]
        if not waiting:
            return False
        place, step = self.chance.choice(waiting)
        slot = self.slots[place]
        self.write(self.turns.admit(place[0], step, slot, self.now), place[0], slot)
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
        slot = self.slots.setdefault((saga_id, record.partition), Slot(self.gate))
        given = Record(origin, record.key, record.value, list(record.headers))
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
        _, name, direction, _ = command.rsplit(":", 3)
        luck = self.chance.random() if trouble else 1.0
        if luck < 0.25:
            self.answer(saga_id, command, self.steps[name].failed, retryable=self.chance.random() < 0.7)
        else:
            type = self.do(command.rpartition(":")[0], name, direction, refuse=luck < 0.4)
            for _ in range(0 if luck < 0.55 else 2 if luck < 0.65 else 1):
                self.answer(saga_id, command, type)
        return True

    def do(self, effect: str, name: str, direction: str, *, refuse: bool) -> str:
        """Applies an effect once; a do that comes after its undo is refused."""
        step = self.steps[name]
        if direction == "undo":
            return self.done.setdefault(effect, step.undone or "")
        late = f"{effect.removesuffix('do')}undo" in self.done
        return self.done.setdefault(effect, (step.refused if refuse or late else None) or step.succeeded)

    def answer(self, saga_id: str, command: str, type: str, **body: Any) -> None:
        """Writes a reply."""
        _, name, direction, attempt = command.rsplit(":", 3)
        Customer(self.world, saga_id).reply(type, f"{name}:{direction}", int(attempt), **body)


def hurried(saga: Saga) -> Saga:
    """The saga with little time and few attempts, so that all of it runs out now and then."""
    return with_policy(saga, timeout_ms=1_000, attempts=2, deadline_ms=5_000, remembered_ms=3_000)


def is_over(progress: Progress) -> bool:
    """The saga has ended."""
    return isinstance(progress.state, FINAL)


def told(recording: Recording) -> str:
    """The decisions of a recording, one per line, for a failure's report."""
    events = (orjson.loads(r.value or b"{}") for r in recording.records if r.topic == "saga.events")
    return "\n".join(f"{e['saga_id']} {e['seq']} {e['cause']} {[x['type'] for x in e['events']]}" for e in events)
