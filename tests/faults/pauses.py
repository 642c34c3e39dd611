"""Pauses a pod for longer than its session, until another pod has taken over, and resumes it as a zombie."""

import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Moment, Trap
from tests.faults.results import Results
from tests.faults.testbed import Pod, Testbed

SETTINGS = {"session_timeout": 4, "transaction_timeout": 3, "poll_timeout": 20, "step_timeout": 3}
LIMIT = 30.0
_ON_THE_WIRE = {
    "with records written": (Api.PRODUCE, Moment.REQUEST_FORWARDED),
    "with offsets in the transaction": (Api.TXN_OFFSET_COMMIT, Moment.REQUEST_FORWARDED),
    "with EndTxn in flight, delivered late": (Api.END_TXN, Moment.REQUEST_RECEIVED),
}
_AT_POINT = {
    "with a batch polled": "polled",
    "with a decision begun": "deciding",
    "with state set": "state set",
    "with a batch prepared": "prepared",
}
TIMERS = "with due timers only"
UNDER_LOAD = (*_ON_THE_WIRE, *_AT_POINT, "at any moment")


@dataclass(slots=True)
class Pauses:
    """Pauses the pods of a testbed, one at a time."""

    testbed: Testbed
    rng: random.Random
    results: Results

    def inject(self, kind: str) -> None:
        """Pauses one pod until another has taken over, and resumes it: it must commit nothing, and end by itself."""
        victim = self.rng.choice(self.testbed.pods)
        trap = self._pause(victim, kind)
        while not victim.paused:  # on a busy computer a pod may end before it is paused
            self._release(trap)
            victim.start()
            self.testbed.await_all_owned(f"before a pause {kind}", LIMIT)
            trap = self._pause(victim, kind)
        partitions, paused_at = victim.partitions, datetime.now(UTC).isoformat()
        self.testbed.watch.on_fault(f"pause: {kind}", *partitions).mark_healed()
        self._wait(lambda: self._took_over(victim, partitions, paused_at), f"a pod to take over from {victim.name}")
        self._observe(self.rng.uniform(0, 2))
        resumed = time.monotonic()
        victim.process.send(signal.SIGCONT)
        self._release(trap)
        self._wait(lambda: victim.ended, f"{victim.name} to end by itself after a pause {kind}")
        self._check(victim, kind, resumed)
        victim.start()
        self.testbed.await_all_owned(f"after a pause {kind}", LIMIT)

    def _release(self, trap: Trap | None) -> None:
        if trap is not None:
            self.testbed.cluster.network.remove(trap)

    def _pause(self, victim: Pod, kind: str) -> Trap | None:
        trap = None
        if kind in _AT_POINT:
            victim.process.kill()
            victim.start("STOP", _AT_POINT[kind], str(self.rng.randint(1, 20)))
            self._wait(lambda: bool(victim.partitions) or victim.ended, f"{victim.name} to be back")
        elif kind in _ON_THE_WIRE:
            api, moment = _ON_THE_WIRE[kind]
            client = self.testbed.client_id(victim)
            pausing = Trap(client, api, moment, _pausing(victim), self.rng.randint(1, 10), holds=True)
            trap = self.testbed.cluster.network.add(pausing)
        else:
            self._observe(self.rng.uniform(0, 0.5))
            victim.process.send(signal.SIGSTOP)
        self._wait(lambda: victim.paused or victim.ended, f"{victim.name} to be paused {kind}")
        return trap

    def _took_over(self, victim: Pod, partitions: frozenset[int], since: str) -> bool:
        others = [pod for pod in self.testbed.pods if pod is not victim]
        for pod in others:
            if pod.ended:  # on a busy computer another pod's session may time out as well
                pod.start()
        return partitions <= frozenset().union(*(pod.partitions for pod in others if pod.restored_at > since))

    def _check(self, victim: Pod, kind: str, resumed: float) -> None:
        self.results.count_fault(f"pause: {kind}")
        late = self.testbed.cluster.network.committed(self.testbed.client_id(victim), resumed)
        seed, exit_code = self.testbed.seed, victim.process.exit_code
        if late:
            self.results.violations.append(f"seed {seed}: {victim.name}, paused {kind}, committed after it was resumed")
        if exit_code != 1:
            self.results.violations.append(f"seed {seed}: {victim.name}, paused {kind}, ended with {exit_code}, not 1")

    def _observe(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.testbed.observe(0.05)

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"seed {self.testbed.seed}: waited {LIMIT:.0f} s in vain for {what}\n{self.testbed.logs()}"
                )
            self.testbed.observe(0.05)


def _pausing(pod: Pod) -> Callable[[], None]:
    return lambda: pod.process.send(signal.SIGSTOP)
