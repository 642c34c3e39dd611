"""The engine's clock: near to the wall clock, and yet good for measuring how long something took."""

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Nanoseconds = Callable[[], int]

_MS = 1_000_000
_SLEW = 11  # 1 s in 11: what should take 30 s by this clock then takes 27.5 at least and 33 at most
_JUMP_NS = 1_500_000_000  # a leap second is no news


class SteadyClock:
    """Called, it tells the time in milliseconds since 1970; it never goes back. For one thread.

    It begins with the wall clock and goes on with the monotonic one. When the two come apart, be it by an NTP step or
    by an hour, it follows the wall clock by at most one second in eleven until it agrees again: no time-out is more
    than a tenth too long or too short. Jumps add up or cancel each other, and each is logged once. A process that
    starts takes the wall clock as it is, so a restart ends the following of a great jump.

    A machine that was suspended finds the wall clock ahead, while the monotonic one stood still. That time counts for
    no time-out, as nobody could read the answers: what was under way is late by the suspension at most.
    """

    __slots__ = ("_ahead_ns", "_monotonic", "_now_ns", "_read_ns", "_wall")

    def __init__(self, wall: Nanoseconds = time.time_ns, monotonic: Nanoseconds = time.monotonic_ns) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._read_ns = monotonic()
        self._now_ns = wall()
        self._ahead_ns = self._now_ns - self._read_ns

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
            log.warning("the wall clock jumped by %+.1f s; the engine follows it by 1 s in %d", jump_ns / 1e9, _SLEW)
