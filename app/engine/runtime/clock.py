"""The engine's clock: close to the wall clock, but steady enough to measure durations."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Nanoseconds = Callable[[], int]

_MS = 1_000_000
_SLEW = 11  # corrects 1 s in 11: 30 s by this clock take between 27.5 s and 33 s
_JUMP_NS = 1_500_000_000  # not logged below this: a leap second is no news


class SteadyClock:
    """Returns the time in milliseconds since 1970 when called; never goes back. For use on one thread.

    It starts from the wall clock and goes on with the monotonic one. When the two diverge, be it by an NTP step or by
    an hour, it follows the wall clock by at most one second in eleven until it agrees again: no timeout is more than a
    tenth too long or too short. Jumps add up or cancel each other, and each is logged once. A new process takes the
    wall clock as it is, so a restart ends the correction of a large jump.

    On a machine that was suspended, the wall clock has moved on while the monotonic clock stood still. That time does
    not count for timeouts, as nobody could read the replies: attempts in flight are late by the suspension at most.
    """

    __slots__ = ("_ahead_ns", "_monotonic", "_now_ns", "_read_ns", "_wall")

    def __init__(self, wall: Nanoseconds = time.time_ns, monotonic: Nanoseconds = time.monotonic_ns) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._read_ns = monotonic()
        self._now_ns = wall()
        self._ahead_ns = self._now_ns - self._read_ns

    @property
    def behind_wall_seconds(self) -> float:
        """How far this clock was behind the wall clock when it was last read; negative when it was ahead."""
        return (self._ahead_ns + self._read_ns - self._now_ns) / 1_000_000_000

    def __call__(self) -> int:
        """Now, in milliseconds since 1970."""
        read_ns, wall_ns = self._monotonic(), self._wall()
        self._watch(wall_ns - read_ns)
        passed_ns = read_ns - self._read_ns
        steady_ns = self._now_ns + passed_ns
        most_ns = passed_ns // _SLEW
        self._read_ns = read_ns
        self._now_ns = steady_ns + max(-most_ns, min(wall_ns - steady_ns, most_ns))
        return self._now_ns // _MS

    def _watch(self, ahead_ns: int) -> None:
        jump_ns = ahead_ns - self._ahead_ns
        self._ahead_ns = ahead_ns
        if abs(jump_ns) > _JUMP_NS:
            extra = {"jump_seconds": round(jump_ns / 1e9, 1)}
            log.warning("wall clock jumped: the engine follows it by 1 s in %d", _SLEW, extra=extra)
