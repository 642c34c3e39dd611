"""One simulated world: decides what happens next. Every random choice comes from its seed."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from pathlib import Path
from random import Random

from app.engine.meters import Meters
from app.saga.definition import DAY_MS
from app.saga.messages import Retry
from app.wire.partition import partition_of
from app.wire.topics import Topics
from app.wire.writer import OutputRecord
from tests.simulation.disk import SimulatedDisk
from tests.simulation.judge.history import Takeovers
from tests.simulation.judge.stores import check_store, tickets_by_step
from tests.simulation.judge.verdict import listed
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Incarnation, SimulatedKafka
from tests.simulation.participants import Participant
from tests.simulation.plan import START_MS, Outage, ParticipantFaults, Plan, Workload
from tests.simulation.pod import SimulatedPod, VirtualTime
from tests.simulation.producer import Crash, CrashCountdown
from tests.simulation.workload import Operators, Shops, operation_record

_AFTER_ALL_RETENTION_MS = 10 * DAY_MS  # longer than any retention, whatever the clocks say
_MAX_TICKS_PER_SAGA = 300
_MAX_CRASHES = 30
_SHARE_OF_CRASHES_CHECKED = 0.2
_NO_FAULTS = ParticipantFaults()
_NO_OPERATIONS = Workload()


class World:
    """A simulated Kafka with shops, operators and participants, and one pod after the other."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.rng = Random(plan.seed)
        self.time = VirtualTime(START_MS)
        self.countdown = CrashCountdown()
        self.disk = SimulatedDisk(self.countdown)
        self.kafka = SimulatedKafka(Topics(plan.versions, "sim."), plan.partitions, self.time.now)
        self.participants = [Participant(step, self.kafka, self.rng, self._schedule) for step in plan.versions.steps]
        self.shops = Shops(plan, self.rng)
        self.takeovers: Takeovers = []
        self.ticks = self.incarnations = self.crashes = 0
        self.violations: list[Violation] = []
        self._operators = Operators(self.kafka, self.rng)
        self._folders = [folder / "one", folder / "two"]
        self._scheduled: list[tuple[int, int, OutputRecord]] = []
        self._scheduled_count = 0
        self._healed = False
        self._next_pod_ms = START_MS
        self._pod: SimulatedPod | None = None
        self.meters: list[Meters] = []

    def run(self) -> None:
        """Runs the whole plan, with faults and then without, and checks the stores at the end."""
        self._scheduled = [(START_MS + delay, n, out) for n, (delay, out) in enumerate(self.shops.schedule())]
        self._scheduled_count = len(self._scheduled)
        heapify(self._scheduled)
        self._run_until_idle()
        self._heal()
        self._run_until_idle()
        if self.plan.retry_stuck_at_end:
            self._retry_all_stuck()
            self._run_until_idle()
        if self.plan.short_retention:
            self.time.now_ms += _AFTER_ALL_RETENTION_MS
            self._run_until_idle()
        self._finish()

    def digest(self) -> str:
        """A digest of all records; equal for equal worlds."""
        digest = blake2b(digest_size=16)
        for tp, log in self.kafka.logs.items():
            for message in log.read():
                digest.update(repr((tp, message.offset(), message.key(), message.value(), message.at_ms)).encode())
        return digest.hexdigest()

    # the next tick

    def _run_until_idle(self) -> None:
        """Ticks until everything is idle; adds a violation if that does not happen in time."""
        while self.ticks < _MAX_TICKS_PER_SAGA * self.plan.sagas + 10_000:
            self.ticks += 1
            if not self._scheduled and self._is_idle():
                return
            self._advance_time()
            self._deliver_scheduled()
            self._run_participants()
            self._run_pod()
        self.violations.append(Violation("idle", None, f"after {self.ticks} ticks the world is not idle"))

    def _advance_time(self) -> None:
        """Goes to the next event, and sometimes a little beyond it."""
        pod, now, outages = self._pod, self.time.now_ms, self._current_outages()
        served = [participant for participant in self.participants if participant.step.name not in outages]
        if any(participant.has_unread for participant in served) or (pod is not None and not pod.idle):
            self.time.now_ms += 1
            return
        wait = pod.next_ms() if pod is not None else self._next_pod_ms - now
        waits = [wait, *(end_ms - now for end_ms in outages.values())]
        if self._scheduled:
            waits.append(self._scheduled[0][0] - now)
        self.time.now_ms += max(1, min(waits)) + self.rng.choice(self.plan.tick_ms)
        if not self._healed and self.rng.random() < self.plan.pod_faults.clock_jump:
            self.time.jumped_ms += self.rng.choice((-3_600_000, -1_000, 1_000, 60_000, 3_600_000))

    def _deliver_scheduled(self) -> None:
        now, scheduled = self.time.now_ms, self._scheduled
        while scheduled and scheduled[0][0] <= now:
            out = heappop(scheduled)[2]
            if out.partition is None:
                out = out._replace(partition=partition_of(out.key or b"", self.plan.partitions))
            self.kafka.append(out)

    def _run_participants(self) -> None:
        outages = self._current_outages()
        faults = _NO_FAULTS if self._healed else self.plan.participant_faults
        for participant in self.participants:
            if participant.step.name not in outages:
                participant.serve(faults)
        workload = _NO_OPERATIONS if self._healed else self.plan.workload
        for delay, out in self._operators.react(workload, self.time.now_ms):
            self._schedule(delay, out)

    def _run_pod(self) -> None:
        """Runs the pod's loop once; may stop the pod, or start the next one."""
        try:
            if self._pod is None:
                if self.time.now_ms >= self._next_pod_ms:
                    self._start_pod()
            elif not self._healed and self.rng.random() < self.plan.pod_faults.handover / 50:
                self._stop_pod()
            if self._pod is not None:
                restoring = self._pod.assigned.restoring
                self._pod.run_once()
                if restoring and not self._pod.assigned.restoring:
                    self._note_tickets(self._pod)
        except Crash:
            self._crash_pod()

    def _is_idle(self) -> bool:
        """Whether no command is in flight or queued, and no timer is due."""
        pod = self._pod
        if pod is None or not pod.idle or any(participant.has_unread for participant in self.participants):
            return False
        for store in pod.stores.values():
            counts = store.index.counts
            if any(counts.in_flight.values()) or any(counts.queued.values()):
                return False
        return pod.next_ms() > 0

    def _current_outages(self) -> dict[str, int]:
        """The steps whose participants are down, and until when (ms)."""
        now = self.time.now_ms
        outages: tuple[Outage, ...] = () if self._healed else self.plan.outages
        return {outage.step: outage.end_ms for outage in outages if outage.start_ms <= now < outage.end_ms}

    def _schedule(self, delay_ms: int, out: OutputRecord) -> None:
        self._scheduled_count += 1
        heappush(self._scheduled, (self.time.now_ms + delay_ms, self._scheduled_count, out))

    # starts and ends of pods

    def _start_pod(self) -> None:
        faults, rng = self.plan.pod_faults, self.rng
        no_crash = self._healed or not faults.crash_every or self.crashes >= _MAX_CRASHES
        self.countdown.arm(0 if no_crash else rng.randrange(1, 2 * faults.crash_every))
        if self.incarnations and rng.random() < faults.other_disk:
            self._folders.reverse()
        self.incarnations += 1
        skew = 0 if self._healed else rng.randrange(-faults.skew_ms, faults.skew_ms + 1)
        incarnation = Incarnation(self.incarnations, skew, self.time.now_ms)
        self._pod = SimulatedPod(self.kafka, self.plan, self._folders[0], incarnation, self.time, self.countdown, rng)
        self.meters.append(self._pod.assigned.meters)

    def _note_tickets(self, pod: SimulatedPod) -> None:
        tickets = {
            number: tickets_by_step(store, [step.name for step in self.plan.versions.steps])
            for number, store in pod.stores.items()
        }
        self.takeovers.append((len(self.kafka.commits), tickets))

    def _stop_pod(self) -> None:
        if self._pod is not None:
            self._pod.stop()
            self._pod = None

    def _crash_pod(self) -> None:
        """Ends the pod, and may lose its disk or its last writes."""
        self.crashes += 1
        self.countdown.arm(0)
        self._next_pod_ms = self.time.now_ms + self.rng.randrange(self.plan.pod_faults.max_downtime_ms + 1)
        pod, self._pod = self._pod, None
        if pod is None:
            return
        pod.crash()
        faults, roll = self.plan.pod_faults, self.rng.random
        for number in pod.stores:
            folder = pod.folder / str(number)
            if roll() < faults.lost_disk:
                self.disk.remove(folder)
            elif not self.plan.real_disk and roll() < faults.lost_writes:
                self.disk.contents(folder).lose_writes(self.rng.randrange(1, 5))
        if roll() < _SHARE_OF_CRASHES_CHECKED:
            self._check_stores(pod.folder)

    def _heal(self) -> None:
        """Ends all faults: crashes, outages, misbehaviour, skew and jumps."""
        self._healed = True
        self.countdown.arm(0)

    def _retry_all_stuck(self) -> None:
        """Operators retry all stuck sagas, as the faults are over."""
        for key in listed(self):
            self._schedule(1, operation_record(Retry, key.decode(), "healed", self.time.now_ms))

    def _finish(self) -> None:
        self._stop_pod()
        self._check_stores(self._folders[0], at_end=True)

    def _check_stores(self, folder: Path, *, at_end: bool = False) -> None:
        for number in range(self.plan.partitions):
            log = self.kafka.logs[self.kafka.changelog, number]
            if (folder / str(number)).exists():
                self.violations += check_store(folder / str(number), log, self.plan, at_end=at_end)


@contextmanager
def world(plan: Plan) -> Iterator[World]:
    """A world that has not run yet."""
    with ExitStack() as stack:
        created = World(plan, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.enter_context(created.time.installed())
        if not plan.real_disk:
            stack.enter_context(created.disk.mounted())
        yield created
