"""Whether a pod is alive, ready and started, judged from what its loop and its clients last did."""

import time
from collections.abc import Callable

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.meters import Meters

ALIVE_SECONDS = 60.0
"""The loop must have begun to run within this time; a rebalance may take longer, as it waits for brokers.

With a shorter poll time-out that is the limit: after it the group has given the pod's partitions away.
"""


class Health:
    """The answers to three probes; each is a reason why not, or None. May be asked on any thread."""

    def __init__(self, assigned: AssignedPartitions, meters: Meters, poll_timeout: float) -> None:
        self._assigned = assigned
        self._meters = meters
        self._poll_timeout = poll_timeout
        self._turned_at: Callable[[], float] | None = None
        self._was_ready = False
        self.rebalancing = False
        self._stopping_at: float | None = None

    @property
    def stopping_seconds(self) -> float:
        """How long ago the pod began to stop; 0 before."""
        return 0.0 if self._stopping_at is None else time.monotonic() - self._stopping_at

    @property
    def idle_seconds(self) -> float:
        """How long ago the loop last began to run; 0 before its first time."""
        return 0.0 if self._turned_at is None else time.monotonic() - self._turned_at()

    def stops(self) -> None:
        """From now on the pod is not ready."""
        self._stopping_at = time.monotonic()

    def loop_runs(self, turned_at: Callable[[], float]) -> None:
        """From now on there is a loop; the function tells when (monotonic seconds) it last began to run."""
        self._turned_at = turned_at

    def not_alive(self) -> str | None:
        """Restoring and rebalancing are alive. Before the loop runs there is nothing that could hang unseen."""
        limit = self._poll_timeout if self.rebalancing else min(ALIVE_SECONDS, self._poll_timeout)
        idle = self.idle_seconds
        return f"the loop has not run for {idle:.0f} s" if idle > limit else None

    def not_ready(self) -> str | None:
        """A pod without partitions is ready when it has joined the group: there are more pods than partitions."""
        reason = self._not_ready()
        self._was_ready = self._was_ready or reason is None
        return reason

    def not_started(self) -> str | None:
        """Started means: was ready once. It covers the first restore, however long that takes."""
        return None if self._was_ready else self.not_ready()

    def _not_ready(self) -> str | None:
        if self._stopping_at is not None:
            return "stopping"
        if self._turned_at is None:
            return "starting"
        if self.rebalancing or not self._assigned.joined:
            return "waiting for partitions from the group"
        if self._assigned.restoring:
            return f"restoring state, {self._assigned.restore_remaining} records left"
        return self.not_alive()
