"""Kills pods under load, again and again, at every point between a poll and the last write to disk."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.fault_points import POINTS, WRITING
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Moment, Trap
from tests.faults.results import Results
from tests.faults.testbed import Pod, Testbed

SETTINGS = {"session_timeout": 6, "transaction_timeout": 3, "step_timeout": 4}
_KILL_AFTER = 10.0  # seconds after which a pod that owns partitions is killed even if it didn't reach its point
_ON_THE_WIRE = {
    "records on their way": (Api.PRODUCE, Moment.REQUEST_RECEIVED, 10),
    "records written": (Api.PRODUCE, Moment.RESPONSE_RECEIVED, 10),
    "offsets on their way": (Api.TXN_OFFSET_COMMIT, Moment.REQUEST_RECEIVED, 5),
    "offsets in the transaction": (Api.TXN_OFFSET_COMMIT, Moment.RESPONSE_RECEIVED, 5),
    "end on its way": (Api.END_TXN, Moment.REQUEST_RECEIVED, 5),
    "end sent": (Api.END_TXN, Moment.REQUEST_FORWARDED, 5),
    "end answered": (Api.END_TXN, Moment.RESPONSE_RECEIVED, 5),
}
REPRESENTATIVE = (
    "polled",
    "deciding",
    "produced",
    "state set",
    "preparing",
    "prepared",
    "records on their way",
    "records written",
    "offsets in the transaction",
    "end sent",
    "saving",
    WRITING,
)
"""One point of each kind between a poll and the last write to disk."""
ALL = (*POINTS, *_ON_THE_WIRE, WRITING, "any moment")


@dataclass(slots=True)
class _PlannedKill:
    """Where one process of a pod is to be killed. `timed_out`: it was killed at its deadline instead."""

    point: str
    seconds: float = _KILL_AFTER
    deadline: float | None = None
    trap: Trap | None = None
    timed_out: bool = False


@dataclass(slots=True)
class Kills:
    """Kills the pods of a testbed at each point as often as `wanted` says, and restarts them."""

    testbed: Testbed
    rng: random.Random
    wanted: Counter[str]
    results: Results
    _planned: dict[str, _PlannedKill] = field(default_factory=dict)
    _restart_at: dict[str, float] = field(default_factory=dict)
    _guest: Pod | None = None
    _guest_count: int = 0

    @property
    def done(self) -> bool:
        """Whether all wanted kills happened."""
        return not +self.wanted

    def start(self) -> None:
        """Starts the pods, each with a planned kill."""
        for pod in self.testbed.pods:
            self._start(pod)

    def step(self) -> None:
        """Checks each pod once: kills it at its deadline, records its end, or restarts it."""
        for pod in self.testbed.pods:
            planned = self._planned[pod.name]
            if not pod.ended:
                self._check_deadline(pod, planned)
            elif pod.name not in self._restart_at:
                self._on_end(pod, planned)
            elif time.monotonic() > self._restart_at[pod.name]:
                del self._restart_at[pod.name]
                self._start(pod)
        self._start_or_stop_guest()

    def finish(self) -> None:
        """Removes all traps, and restarts the pods without planned kills."""
        for pod in self.testbed.pods:
            trap = self._planned[pod.name].trap
            if trap is not None:
                self.testbed.cluster.network.remove(trap)
            pod.process.kill()
            pod.start()
        if self._guest is not None:
            self._guest.process.stop()

    def _check_deadline(self, pod: Pod, planned: _PlannedKill) -> None:
        """The deadline counts from when the pod first owns partitions."""
        if planned.deadline is None and pod.partitions:
            planned.deadline = time.monotonic() + planned.seconds
        if planned.deadline is not None and time.monotonic() > planned.deadline:
            planned.timed_out = True
            pod.process.kill()

    def _start_or_stop_guest(self) -> None:
        """Another pod joins while a pod is to be killed as its partitions are revoked."""
        wanted = any(kill.point == "revoked" and not self._is_down(name) for name, kill in self._planned.items())
        if self._guest is None and wanted:
            self._guest_count += 1
            self._guest = self.testbed.guest(f"guest-{self._guest_count}", **SETTINGS)
            self._guest.start()
        elif self._guest is not None and not wanted:
            self._guest.process.stop()
            self._guest = None

    def _is_down(self, name: str) -> bool:
        return name in self._restart_at

    def _on_end(self, pod: Pod, planned: _PlannedKill) -> None:
        reached = planned.point == "any moment" or not planned.timed_out
        fault = f"kill -9: {planned.point if reached else 'any moment'}"
        # A pod that was slow and lost its partitions ends by itself (0 or 1): it was not killed.
        if pod.process.exit_code not in (0, 1):
            self.results.count_fault(fault)
            self.testbed.watch.on_fault(fault, *pod.partitions).mark_healed()
            if reached:
                self.wanted[planned.point] -= 1
        if planned.trap is not None:
            self.testbed.cluster.network.remove(planned.trap)
        if self.rng.random() < 0.15:
            shutil.rmtree(pod.state, ignore_errors=True)
        down = self.rng.uniform(7, 9) if self.rng.random() < 0.05 else 0  # longer than a session: others take over
        self._restart_at[pod.name] = time.monotonic() + down

    def _start(self, pod: Pod) -> None:
        point = self.rng.choice(sorted(+self.wanted) or ["any moment"])
        planned = self._planned[pod.name] = _PlannedKill(point)
        if point in _ON_THE_WIRE:
            api, moment, most = _ON_THE_WIRE[point]
            nth = self.rng.randint(1, most)
            pod.start()
            planned.trap = self.testbed.cluster.network.add(
                Trap(self.testbed.client_id(pod), api, moment, _killing(pod), nth)
            )
        elif point == "any moment":
            planned.seconds = self.rng.uniform(0, 3)
            pod.start()
        elif point == WRITING:
            pod.start("KILL", point, str(self.rng.randint(8_000, 300_000)))
        else:
            pod.start("KILL", point, str(self.rng.randint(1, POINTS[point].per_second)))


def _killing(pod: Pod) -> Callable[[], None]:
    return lambda: pod.process.send(signal.SIGKILL)
