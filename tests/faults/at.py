"""Runs the `saga` command as it is, and dies or falls asleep by itself at the n-th crossing of a point.

`python -m tests.faults.at SIGNAL POINT N run`: the product has no hooks; the points are found from outside, by name.
With the point "writing" N is a size: whoever writes beyond it into a file dies in the middle of that write.
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
    """Before or after a call; `most`: about how often a pod under load crosses it in a second."""

    module: str
    owner: str
    method: str
    after: bool
    most: int


POINTS = {
    "assigning": Point("app.engine.ownership", "Ownership", "assigned", after=False, most=1),
    "restoring": Point("app.engine.restore", "Restore", "step", after=True, most=1),
    "polled": Point("app.engine.inbox", "Inbox", "take", after=True, most=15),
    "deciding": Point("app.engine.turn", "Turns", "take", after=False, most=40),
    "decided": Point("app.engine.turn", "Turns", "take", after=True, most=40),
    "state set": Point("app.engine.store", "PartitionStore", "set", after=True, most=40),
    "produced": Point("app.engine.lanes", "Lane", "produce", after=True, most=100),
    "preparing": Point("app.engine.store", "PartitionStore", "changes", after=False, most=20),
    "prepared": Point("app.engine.lanes", "Lane", "commit", after=False, most=15),
    "handed over": Point("app.engine.lanes", "Lane", "commit", after=True, most=15),
    "offsets sent": Point("app.engine.lanes", "Producer", "send_offsets_to_transaction", after=True, most=15),
    "committed": Point("app.engine.lanes", "Producer", "commit_transaction", after=True, most=15),
    "saving": Point("app.engine.store", "PartitionStore", "save", after=False, most=20),
    "saved": Point("app.engine.store", "PartitionStore", "save", after=True, most=20),
    "expiring": Point("app.engine.turn", "Turns", "expire", after=True, most=3),
    "revoked": Point("app.engine.ownership", "Ownership", "revoked", after=True, most=1),
}
WRITING = "writing"


def main() -> None:
    """Puts the point in place, then runs the command."""
    from topologies.__main__ import main as saga

    how, name, nth, *words = sys.argv[1:]
    if name == WRITING:
        _bound(int(nth))
    else:
        _place(POINTS[name], int(nth), signal.Signals[f"SIG{how}"])
    sys.argv[1:] = words
    saga()


def _bound(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _place(point: Point, nth: int, how: signal.Signals) -> None:
    module = importlib.import_module(point.module)
    # A subclass, as a class that is written in C takes no new methods.
    owner = getattr(module, point.owner)
    crossings = _counted(getattr(owner, point.method), point, nth, how)
    if isinstance(vars(owner).get(point.method), type(main)):
        setattr(owner, point.method, crossings)
    else:
        setattr(module, point.owner, type(point.owner, (owner,), {point.method: crossings}))


def _counted(call: Callable[..., Any], point: Point, nth: int, how: signal.Signals) -> Callable[..., Any]:
    left = nth

    def cross() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), how)

    def counted(*given: Any, **named: Any) -> Any:
        if not point.after:
            cross()
        result = call(*given, **named)
        if point.after and result != {}:  # a look that found nothing is none
            cross()
        return result

    return counted


if __name__ == "__main__":
    main()
