"""Runs the `saga` command unchanged, and kills or stops this process at the n-th crossing of a fault point.

`python -m tests.faults.fault_points SIGNAL POINT N run`: the product has no hooks, points are patched in by name.
With the point "writing", N is a file size in bytes; a write beyond it kills the process in the middle of the write.
"""

import importlib
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """Before or after a method call. `per_second`: roughly how often a pod under load makes that call."""

    module: str
    owner: str
    method: str
    after: bool
    per_second: int


POINTS = {
    "assigning": Point(
        "app.engine.assignment.assigned_partitions", "AssignedPartitions", "assigned", after=False, per_second=1
    ),
    "restoring": Point("app.engine.state.changelog_reader", "ChangelogReader", "step", after=True, per_second=1),
    "polled": Point("app.engine.runtime.inbox", "Inbox", "take", after=True, per_second=15),
    "deciding": Point("app.engine.processor", "SagaProcessor", "on_record", after=False, per_second=40),
    "decided": Point("app.engine.processor", "SagaProcessor", "on_record", after=True, per_second=40),
    "state set": Point("app.engine.state.store", "PartitionStore", "set", after=True, per_second=40),
    "produced": Point("app.engine.kafka.transactions", "TransactionalProducer", "produce", after=True, per_second=100),
    "preparing": Point("app.engine.state.store", "PartitionStore", "take_changes", after=False, per_second=20),
    "prepared": Point("app.engine.kafka.transactions", "TransactionalProducer", "commit", after=False, per_second=15),
    "handed over": Point("app.engine.kafka.transactions", "TransactionalProducer", "commit", after=True, per_second=15),
    "offsets sent": Point(
        "app.engine.kafka.transactions", "Producer", "send_offsets_to_transaction", after=True, per_second=15
    ),
    "committed": Point("app.engine.kafka.transactions", "Producer", "commit_transaction", after=True, per_second=15),
    "saving": Point("app.engine.state.store", "PartitionStore", "save", after=False, per_second=20),
    "saved": Point("app.engine.state.store", "PartitionStore", "save", after=True, per_second=20),
    "expiring": Point("app.engine.processor", "SagaProcessor", "on_timer", after=True, per_second=3),
    "revoked": Point(
        "app.engine.assignment.assigned_partitions", "AssignedPartitions", "revoked", after=True, per_second=1
    ),
}
WRITING = "writing"


def main() -> None:
    """Installs the fault point, then runs the command."""
    from topologies.__main__ import main as saga

    how, name, nth, *words = sys.argv[1:]
    if name == WRITING:
        _limit_file_size(int(nth))
    else:
        _install(POINTS[name], int(nth), signal.Signals[f"SIG{how}"])
    sys.argv[1:] = words
    saga()


def _limit_file_size(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _install(point: Point, nth: int, how: signal.Signals) -> None:
    module = importlib.import_module(point.module)
    owner = getattr(module, point.owner)
    crossings = _counted(getattr(owner, point.method), point, nth, how)
    if isinstance(vars(owner).get(point.method), type(main)):
        setattr(owner, point.method, crossings)
    else:  # a class written in C takes no new methods: replace it by a subclass
        setattr(module, point.owner, type(point.owner, (owner,), {point.method: crossings}))


def _counted(call: Callable[..., Any], point: Point, nth: int, how: signal.Signals) -> Callable[..., Any]:
    left = nth

    def cross() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), how)

    def counted(*args: Any, **named: Any) -> Any:
        if not point.after:
            cross()
        result = call(*args, **named)
        if point.after and result != {}:  # an empty poll doesn't count as a crossing
            cross()
        return result

    return counted


if __name__ == "__main__":
    main()
