"""One world: what happens next, until nothing more does. All chance comes from its seed."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from pathlib import Path
from random import Random

from app.saga.definition import DAY_MS
from app.saga.messages import Retry
from app.wire.partition import partition_of
from app.wire.topics import Topics
from app.wire.writer import Out
from tests.simulation.disk import Disk
from tests.simulation.judge.history import Takeovers
from tests.simulation.judge.stores import inspect, queues
from tests.simulation.judge.verdict import listed
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Kafka, Life
from tests.simulation.lane import Crash, Fuse
from tests.simulation.participants import Participant
from tests.simulation.people import Operators, Shops, wish
from tests.simulation.plan import START_MS, Outage, People, Plan, Whims
from tests.simulation.pod import Pod, Time

_LONG_MS = 10 * DAY_MS  # until the last one is forgotten, whatever clocks say
_MOST_TICKS = 300  # for each saga
_MOST_CRASHES = 30
_RESTARTS_INSPECTED = 0.2
_WELL = Whims()
_QUIET = People()


class World:
    """Kafka, people, participants, and one pod after the other."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.chance = Random(plan.seed)
        self.time = Time(START_MS)
        self.fuse = Fuse()
        self.disk = Disk(self.fuse)
        self.kafka = Kafka(Topics(plan.versions, "sim."), plan.partitions, self.time.now)
        self.participants = [Participant(step, self.kafka, self.chance, self._later) for step in plan.versions.steps]
        self.shops = Shops(plan, self.chance)
        self.takeovers: Takeovers = []
        self.ticks = self.lives = self.crashes = 0
        self.problems: list[Violation] = []
        self._operators = Operators(self.kafka, self.chance)
        self._folders = [folder / "one", folder / "two"]
        self._plans: list[tuple[int, int, Out]] = []
        self._planned = 0
        self._calm = False
        self._back_ms = START_MS  # when the next pod comes
        self._pod: Pod | None = None

    def live(self) -> None:
        """Everything that happens, until all is at rest."""
        self._plans = [(START_MS + after, n, out) for n, (after, out) in enumerate(self.shops.plans())]
        self._planned = len(self._plans)
        heapify(self._plans)
        self._until_rest()
        self._heal()
        self._until_rest()
        if self.plan.healed:
            self._see_to_all()
            self._until_rest()
        if self.plan.short:
            self.time.now_ms += _LONG_MS
            self._until_rest()
        self._end()

    def digest(self) -> str:
        """The same for the same world."""
        told = blake2b(digest_size=16)
        for place, log in self.kafka.logs.items():
            for message in log.read():
                told.update(repr((place, message.offset(), message.key(), message.value(), message.at_ms)).encode())
        return told.hexdigest()

    # what happens next

    def _until_rest(self) -> None:
        """Ticks until all is at rest, or it is clear that this will never be."""
        while self.ticks < _MOST_TICKS * self.plan.sagas + 10_000:
            self.ticks += 1
            if not self._plans and self._at_rest():
                return
            self._pass_time()
            self._deliver()
            self._serve()
            self._run()
        self.problems.append(Violation("rest", None, f"after {self.ticks} ticks the world is not at rest"))

    def _pass_time(self) -> None:
        """On to the next thing, and sometimes somewhat beyond it."""
        pod, now, away = self._pod, self.time.now_ms, self._away()
        served = not any(one.behind and one.step.name not in away for one in self.participants)
        if not served or (pod is not None and not pod.idle):
            self.time.now_ms += 1
            return
        wait = pod.next_ms() if pod is not None else self._back_ms - now
        waits = [wait, *(end_ms - now for end_ms in away.values())]
        if self._plans:
            waits.append(self._plans[0][0] - now)
        self.time.now_ms += max(1, min(waits)) + self.chance.choice(self.plan.tick_ms)
        if not self._calm and self.chance.random() < self.plan.hardship.jump:
            self.time.jumped_ms += self.chance.choice((-3_600_000, -1_000, 1_000, 60_000, 3_600_000))

    def _deliver(self) -> None:
        now, plans = self.time.now_ms, self._plans
        while plans and plans[0][0] <= now:
            out = heappop(plans)[2]
            if out.partition is None:
                out = out._replace(partition=partition_of(out.key or b"", self.plan.partitions))
            self.kafka.append(out)

    def _serve(self) -> None:
        away = self._away()
        whims = _WELL if self._calm else self.plan.whims
        for one in self.participants:
            if one.step.name not in away:
                one.serve(whims)
        for after, out in self._operators.look(_QUIET if self._calm else self.plan.people, self.time.now_ms):
            self._later(after, out)

    def _run(self) -> None:
        """Some turns of the pod; one that dies has a successor."""
        try:
            if self._pod is None:
                if self.time.now_ms >= self._back_ms:
                    self._take_over()
            elif not self._calm and self.chance.random() < self.plan.hardship.handover / 50:
                self._hand_over()
            if self._pod is not None:
                restoring = self._pod.owner.restoring
                self._pod.turn()
                if restoring and not self._pod.owner.restoring:
                    self._note_queues(self._pod)
        except Crash:
            self._bury()

    def _at_rest(self) -> bool:
        """Whether nobody is asked, and nobody waits for room; and nobody is due."""
        pod = self._pod
        if pod is None or not pod.idle or any(one.behind for one in self.participants):
            return False
        for store in pod.stores.values():
            census = store.index.census
            if any(census.asked.values()) or any(census.waiting.values()):
                return False
        return pod.next_ms() > 0

    def _away(self) -> dict[str, int]:
        """Who is away, until when."""
        now = self.time.now_ms
        outages: tuple[Outage, ...] = () if self._calm else self.plan.outages
        return {outage.step: outage.end_ms for outage in outages if outage.start_ms <= now < outage.end_ms}

    def _later(self, after_ms: int, out: Out) -> None:
        self._planned += 1
        heappush(self._plans, (self.time.now_ms + after_ms, self._planned, out))

    # pods come and go

    def _take_over(self) -> None:
        hardship, chance = self.plan.hardship, self.chance
        spared = self._calm or not hardship.crash_every or self.crashes >= _MOST_CRASHES
        self.fuse.light(0 if spared else chance.randrange(1, 2 * hardship.crash_every))
        if self.lives and chance.random() < hardship.other_disk:
            self._folders.reverse()
        self.lives += 1
        skew = 0 if self._calm else chance.randrange(-hardship.skew_ms, hardship.skew_ms + 1)
        life = Life(self.lives, skew, self.time.now_ms)
        self._pod = Pod(self.kafka, self.plan, self._folders[0], life, self.time, self.fuse, chance)

    def _note_queues(self, pod: Pod) -> None:
        found = {
            number: queues(store, [step.name for step in self.plan.versions.steps])
            for number, store in pod.stores.items()
        }
        self.takeovers.append((len(self.kafka.commits), found))

    def _hand_over(self) -> None:
        if self._pod is not None:
            self._pod.leave()
            self._pod = None

    def _bury(self) -> None:
        """The pod is dead, and its disk perhaps is too."""
        self.crashes += 1
        self.fuse.light(0)
        self._back_ms = self.time.now_ms + self.chance.randrange(self.plan.hardship.absent_ms + 1)
        pod, self._pod = self._pod, None
        if pod is None:
            return
        pod.die()
        hardship, luck = self.plan.hardship, self.chance.random
        for number in pod.stores:
            folder = pod.folder / str(number)
            if luck() < hardship.lost_disk:
                self.disk.remove(folder)
            elif not self.plan.real_disk and luck() < hardship.lost_writes:
                self.disk.shelf(folder).lose(self.chance.randrange(1, 5))
        if luck() < _RESTARTS_INSPECTED:
            self._inspect(pod.folder)

    def _heal(self) -> None:
        """From now on all goes well."""
        self._calm = True
        self.fuse.light(0)

    def _see_to_all(self) -> None:
        """Operators have all that is stuck tried again, now that all goes well."""
        for key in listed(self):
            self._later(1, wish(Retry, key.decode(), "healed", self.time.now_ms))

    def _end(self) -> None:
        self._hand_over()
        self._inspect(self._folders[0], at_end=True)

    def _inspect(self, folder: Path, *, at_end: bool = False) -> None:
        for number in range(self.plan.partitions):
            log = self.kafka.logs[self.kafka.changelog, number]
            if (folder / str(number)).exists():
                self.problems += inspect(folder / str(number), log, self.plan, at_end=at_end)


@contextmanager
def world(plan: Plan) -> Iterator[World]:
    """A world that has not begun to live."""
    with ExitStack() as stack:
        made = World(plan, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.enter_context(made.time.ruling())
        if not plan.real_disk:
            stack.enter_context(made.disk.mounted())
        yield made
