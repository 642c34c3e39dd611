"""What sagas wait for besides messages: due timers, and free capacity at a participant."""

from collections.abc import Callable

from app.engine.assignment.assigned_partitions import AssignedPartitions
from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.errors import naming_failures
from app.engine.runtime.batch import Batch, KeyState
from app.wire.writer import OutputRecord

_MOST = 2000  # timers, and admissions per step, in one batch; the partitions share them

OnTimer = Callable[[str, int, KeyState, int], list[OutputRecord]]
"""(saga id, due time, state, now) -> outputs. Times are in ms since 1970."""
OnCapacity = Callable[[str, str, KeyState, int], list[OutputRecord]]
"""(saga id, step, state, now) -> outputs."""


class Wakeups:
    """Runs due timers and admits queued steps, a bounded number at a time."""

    def __init__(
        self,
        assigned: AssignedPartitions,
        end_offsets: EndOffsetRequests,
        on_timer: OnTimer | None,
        on_capacity: OnCapacity | None,
    ) -> None:
        self._assigned = assigned
        self._end_offsets = end_offsets
        self._on_timer = on_timer
        self._on_capacity = on_capacity

    def next_ms(self) -> int | None:
        """When (ms since 1970) there is something to do next, as far as is known now."""
        return min((task.store.next_ms() for task in self._assigned.tasks.values()), default=None)

    def run_due(self, batch: Batch, task: PartitionTask, now_ms: int) -> bool:
        """Runs what is due in one partition; returns whether anything was."""
        store, most, touched = task.store, 1 + _MOST // len(self._assigned.tasks), False
        lateness = self._assigned.meters.timer_lateness
        store.look_ahead(now_ms)
        if self._on_timer is not None:
            for due_ms, key in store.due(self._due_until(task, now_ms), most):
                touched = True
                lateness.observe((now_ms - due_ms) / 1000)
                with naming_failures(partition=task.number, timer_due_ms=due_ms):
                    _send(batch, self._on_timer(key.decode(), due_ms, KeyState(store, key), now_ms))
        if self._on_capacity is not None:
            for step, key in store.admitted(now_ms, most):
                touched = True
                with naming_failures(partition=task.number, capacity_for=step):
                    _send(batch, self._on_capacity(key.decode(), step, KeyState(store, key), now_ms))
        return touched

    def _due_until(self, task: PartitionTask, now_ms: int) -> int:
        """Timers due up to this time may fire: everything that came before it was read."""
        first = task.store.due_times.next_ms()
        if first is None or first > now_ms:
            return 0
        self._end_offsets.hand_out(self._assigned.tasks)
        until = task.frontier.read_up_to_ms({**task.positions, **task.positions_past_markers()})
        if until < first:
            self._end_offsets.request(self._assigned.inputs(), now_ms)
        return min(now_ms, until)


def _send(batch: Batch, outputs: list[OutputRecord]) -> None:
    for output in outputs:
        batch.send(output)
