"""Pods that are paused for longer than a session, while others take over, and then go on as if nothing had been."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.faults.frames import Api
from tests.faults.ground import Ground, Pod
from tests.faults.proxy import Moment, Trap
from tests.faults.tally import Tally

SETTINGS = {"session_timeout": 4, "transaction_timeout": 3, "poll_timeout": 20, "step_timeout": 3}
LIMIT = 30.0
_ON_THE_WIRE = {
    "with records written": (Api.PRODUCE, Moment.SENT),
    "with offsets in the transaction": (Api.TXN_OFFSET_COMMIT, Moment.SENT),
    "with the end on its way, late": (Api.END_TXN, Moment.ASKED),
}
_INSIDE = {
    "with records read": "polled",
    "with a decision begun": "deciding",
    "with state set": "state set",
    "with all prepared": "prepared",
}
TIMERS = "with due timers alone"
UNDER_LOAD = (*_ON_THE_WIRE, *_INSIDE, "at any moment")


@dataclass(slots=True)
class Zombies:
    """Trials on the pods of a ground, one after the other."""

    ground: Ground
    chance: random.Random
    tally: Tally

    def trial(self, kind: str) -> None:
        """One pod falls asleep, another takes over, the sleeper wakes: it may commit nothing, and ends by itself."""
        victim = self.chance.choice(self.ground.pods)
        trap = self._put_to_sleep(victim, kind)
        while not victim.asleep:  # on a busy computer a pod may end before it gets there
            self._let_go(trap)
            victim.live()
            self.ground.await_all(f"before a pause {kind}", LIMIT)
            trap = self._put_to_sleep(victim, kind)
        partitions, asleep_at = victim.partitions, datetime.now(UTC).isoformat()
        self.ground.pulse.struck(f"pause: {kind}", *partitions).heal()
        self._wait(lambda: self._took_over(victim, partitions, asleep_at), f"a pod to take over from {victim.name}")
        self._rest(self.chance.uniform(0, 2))
        woken = time.monotonic()
        victim.child.tell(signal.SIGCONT)
        self._let_go(trap)
        self._wait(lambda: victim.ended, f"{victim.name} to end by itself, asleep {kind}")
        self._judge(victim, kind, woken)
        victim.live()
        self.ground.await_all(f"after a pause {kind}", LIMIT)

    def _let_go(self, trap: Trap | None) -> None:
        if trap is not None:
            self.ground.cluster.network.take_away(trap)

    def _put_to_sleep(self, victim: Pod, kind: str) -> Trap | None:
        trap = None
        if kind in _INSIDE:
            victim.child.kill()
            victim.live("STOP", _INSIDE[kind], str(self.chance.randint(1, 20)))
            self._wait(lambda: bool(victim.partitions) or victim.ended, f"{victim.name} to be back")
        elif kind in _ON_THE_WIRE:
            api, moment = _ON_THE_WIRE[kind]
            client = self.ground.client_id(victim)
            asleep = Trap(client, api, moment, _sleeping(victim), self.chance.randint(1, 10), holds=True)
            trap = self.ground.cluster.network.set(asleep)
        else:
            self._rest(self.chance.uniform(0, 0.5))
            victim.child.tell(signal.SIGSTOP)
        self._wait(lambda: victim.asleep or victim.ended, f"{victim.name} to fall asleep {kind}")
        return trap

    def _took_over(self, victim: Pod, partitions: frozenset[int], since: str) -> bool:
        others = [pod for pod in self.ground.pods if pod is not victim]
        for pod in others:
            if pod.ended:  # on a busy computer a session may end too soon
                pod.live()
        return partitions <= frozenset().union(*(pod.partitions for pod in others if pod.taken_at > since))

    def _judge(self, victim: Pod, kind: str, woken: float) -> None:
        self.tally.struck(f"pause: {kind}")
        late = self.ground.cluster.network.committed(self.ground.client_id(victim), woken)
        if late:
            self.tally.broken.append(f"seed {self.ground.seed}: {victim.name}, asleep {kind}, committed when it woke")
        if victim.child.exit_code != 1:
            self.tally.broken.append(f"seed {self.ground.seed}: {victim.name} ended with {victim.child.exit_code}")

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ground.look(0.05)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"seed {self.ground.seed}: waited in vain for {what}\n{self.ground.logs()}")
            self.ground.look(0.05)


def _sleeping(pod: Pod) -> Callable[[], None]:
    return lambda: pod.child.tell(signal.SIGSTOP)
