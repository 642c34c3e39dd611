"""Pods that die at every point between a poll and the last write, again and again, under load."""

import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.at import POINTS, WRITING
from tests.faults.frames import Api
from tests.faults.ground import Ground, Pod
from tests.faults.proxy import Moment, Trap
from tests.faults.tally import Tally

SETTINGS = {"session_timeout": 6, "transaction_timeout": 3, "step_timeout": 4}
_PATIENCE = 10.0  # seconds in which a pod that works gets to its point, or is killed all the same
_ON_THE_WIRE = {
    "records on their way": (Api.PRODUCE, Moment.ASKED, 10),
    "records written": (Api.PRODUCE, Moment.ANSWERED, 10),
    "offsets on their way": (Api.TXN_OFFSET_COMMIT, Moment.ASKED, 5),
    "offsets in the transaction": (Api.TXN_OFFSET_COMMIT, Moment.ANSWERED, 5),
    "end on its way": (Api.END_TXN, Moment.ASKED, 5),
    "end sent": (Api.END_TXN, Moment.SENT, 5),
    "end answered": (Api.END_TXN, Moment.ANSWERED, 5),
}
BETWEEN = (
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
class _Doom:
    """What is to happen to one life of a pod."""

    point: str
    seconds: float = _PATIENCE
    until: float | None = None
    trap: Trap | None = None
    by_the_clock: bool = False


@dataclass(slots=True)
class Kills:
    """Kills of the pods of a ground, each point so often as `wanted` says."""

    ground: Ground
    chance: random.Random
    wanted: Counter[str]
    tally: Tally
    _dooms: dict[str, _Doom] = field(default_factory=dict)
    _back_at: dict[str, float] = field(default_factory=dict)
    _guest: Pod | None = None
    _guests: int = 0

    @property
    def over(self) -> bool:
        """Whether all of them happened."""
        return not +self.wanted

    def begin(self) -> None:
        """Starts the pods, each with its doom."""
        for pod in self.ground.pods:
            self._live(pod)

    def go_on(self) -> None:
        """Looks once at each pod: kills whom the time has come for, and brings back who is dead."""
        for pod in self.ground.pods:
            doom = self._dooms[pod.name]
            if not pod.ended:
                self._watch(pod, doom)
            elif pod.name not in self._back_at:
                self._died(pod, doom)
            elif time.monotonic() > self._back_at[pod.name]:
                del self._back_at[pod.name]
                self._live(pod)
        self._mind_the_guest()

    def end(self) -> None:
        """From now on pods live."""
        for pod in self.ground.pods:
            trap = self._dooms[pod.name].trap
            if trap is not None:
                self.ground.cluster.network.take_away(trap)
            pod.child.kill()
            pod.live()
        if self._guest is not None:
            self._guest.child.stop()

    def _watch(self, pod: Pod, doom: _Doom) -> None:
        """The clock runs from when the pod has something to work on."""
        if doom.until is None and pod.partitions:
            doom.until = time.monotonic() + doom.seconds
        if doom.until is not None and time.monotonic() > doom.until:
            doom.by_the_clock = True
            pod.child.kill()

    def _mind_the_guest(self) -> None:
        """One who joins, so that partitions are given away, as long as somebody is to die of that."""
        wanted = any(doom.point == "revoked" and not self._is_dead(name) for name, doom in self._dooms.items())
        if self._guest is None and wanted:
            self._guests += 1
            self._guest = self.ground.stranger(f"guest-{self._guests}", **SETTINGS)
            self._guest.live()
        elif self._guest is not None and not wanted:
            self._guest.child.stop()
            self._guest = None

    def _is_dead(self, name: str) -> bool:
        return name in self._back_at

    def _died(self, pod: Pod, doom: _Doom) -> None:
        reached = doom.point == "any moment" or not doom.by_the_clock
        fault = f"kill -9: {doom.point if reached else 'any moment'}"
        # A pod that ended by itself, as its partitions went elsewhere while it was slow, was not killed.
        if pod.child.exit_code not in (0, 1):
            self.tally.struck(fault)
            self.ground.pulse.struck(fault, *pod.partitions).heal()
            if reached:
                self.wanted[doom.point] -= 1
        if doom.trap is not None:
            self.ground.cluster.network.take_away(doom.trap)
        if self.chance.random() < 0.15:
            shutil.rmtree(pod.state, ignore_errors=True)
        down = self.chance.uniform(7, 9) if self.chance.random() < 0.05 else 0  # the other pod takes over
        self._back_at[pod.name] = time.monotonic() + down

    def _live(self, pod: Pod) -> None:
        point = self.chance.choice(sorted(+self.wanted) or ["any moment"])
        doom = self._dooms[pod.name] = _Doom(point)
        if point in _ON_THE_WIRE:
            api, moment, most = _ON_THE_WIRE[point]
            nth = self.chance.randint(1, most)
            pod.live()
            doom.trap = self.ground.cluster.network.set(
                Trap(self.ground.client_id(pod), api, moment, _killing(pod), nth)
            )
        elif point == "any moment":
            doom.seconds = self.chance.uniform(0, 3)
            pod.live()
        elif point == WRITING:
            pod.live("KILL", point, str(self.chance.randint(8_000, 300_000)))
        else:
            pod.live("KILL", point, str(self.chance.randint(1, POINTS[point].most)))


def _killing(pod: Pod) -> Callable[[], None]:
    return lambda: pod.child.tell(signal.SIGKILL)
