"""Admission control: an AIMD window per step bounds how many commands a partition has in flight at a participant."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

_RECENT_RESULTS = 16  # results remembered: beyond that, older ones count half, a quarter, and so on
# Half of what is in flight (counted as this at least), not of the window: unused slots say nothing of the participant.
_MIN_MEASURED = 100
_HALVE_PAUSE_MS = 1_000  # minimum time between two halvings: failures come in bursts
_FIRST_PROBE_MS = 1_000
_MAX_PROBE_MS = 30_000


class _Window:
    """How many commands of a step may be in flight: 1 more with each success, half once failures are the majority.

    At 1, each command is a probe: after each one that fails, the backoff before the next doubles, up to 30 s.
    """

    __slots__ = ("_failures", "_halved_ms", "_probe_ms", "_successes", "limit", "opens_ms", "size")

    def __init__(self, limit: int, size: int) -> None:
        self.limit = limit
        self.size = size
        self._halved_ms = self._probe_ms = self.opens_ms = 0
        self._successes = self._failures = 0

    def on_success(self) -> None:
        self._successes += 1
        self._decay()
        self._probe_ms = self.opens_ms = 0
        if self.size < self.limit:
            self.size += 1

    def on_failure(self, in_flight: int, now_ms: int) -> None:
        self._failures += 1
        self._decay()
        if self.size > 1 and self._failures > self._successes and abs(now_ms - self._halved_ms) >= _HALVE_PAUSE_MS:
            self.size = min(self.size, max(in_flight, _MIN_MEASURED)) // 2
            self._halved_ms = now_ms
            self._successes = self._failures = 0
        if self.size == 1 and now_ms >= self.opens_ms:  # otherwise it was sent before the last probe
            self._probe_ms = min(2 * self._probe_ms, _MAX_PROBE_MS) or _FIRST_PROBE_MS
            self.opens_ms = now_ms + self._probe_ms

    def _decay(self) -> None:
        if self._successes + self._failures > _RECENT_RESULTS:
            self._successes //= 2
            self._failures //= 2


class AdmissionControl:
    """Slots for the commands of one partition's sagas. In-flight and queued counts are read from `SagaCounts`."""

    def __init__(self, limit: int, in_flight: Mapping[str, int], queued: Mapping[str, int]) -> None:
        self._in_flight = in_flight
        self._queued = queued
        self._granted: dict[str, int] = defaultdict(int)
        self._denied: set[str] = set()
        self.limit = limit
        self._windows: dict[str, _Window] = {}
        self._queued_since: dict[str, int] = {}

    def try_acquire(self, step: str) -> bool:
        """Takes a slot for a command of the step, if one is free and no saga is queued for it."""
        in_flight = self._in_flight.get(step, 0) + self._granted[step]
        if self._queued.get(step) or step in self._denied or in_flight >= self._window(step).size:
            self._denied.add(step)
            return False
        self._granted[step] += 1
        return True

    def keeps_slot(self, step: str) -> bool:
        """Whether a failed command may keep its slot during the backoff before its retry."""
        size = self._window(step).size
        return size > 1 and self._in_flight.get(step, 0) <= size

    def on_success(self, step: str) -> None:
        """The participant gave a final reply."""
        window = self._windows.get(step)
        if window is not None:
            window.on_success()

    def on_failure(self, step: str, now_ms: int) -> None:
        """The participant timed out, or failed in a retryable way."""
        self._window(step).on_failure(self._in_flight.get(step, 0), now_ms)

    def reset_batch(self) -> None:
        """To be called when the counts include the slots taken since the last call."""
        self._granted.clear()
        self._denied.clear()

    def admissible(self, now_ms: int) -> dict[str, int]:
        """How many queued sagas can be admitted now, by step."""
        for step, queued in self._queued.items():
            if not queued:
                self._queued_since.pop(step, None)
            elif step not in self._queued_since:
                self._queued_since[step] = now_ms
        return {
            step: min(free, self._queued[step])
            for step, free, opens_ms in self._with_free_slots()
            if opens_ms <= now_ms
        }

    def next_ms(self) -> int | None:
        """When (ms since 1970) the next queued saga can be admitted without a further success; 0 stands for now."""
        return min((opens_ms for _, _, opens_ms in self._with_free_slots()), default=None)

    def windows(self) -> dict[str, int]:
        """How many commands of each step may be in flight now; steps without an entry may have `limit`."""
        return {step: window.size for step, window in list(self._windows.items())}

    def queued_since(self) -> dict[str, int]:
        """For each step with a queue: since when (ms since 1970) the queue was never empty, as far as this pod saw."""
        return dict(self._queued_since)

    def _with_free_slots(self) -> Iterator[tuple[str, int, int]]:
        """(step, free slots, time from which they can be used) of steps with queued sagas and free slots."""
        for step, queued in self._queued.items():
            if queued:
                window = self._window(step)
                free = window.size - self._in_flight.get(step, 0)
                if free > 0:
                    yield step, free, window.opens_ms

    def _window(self, step: str) -> _Window:
        window = self._windows.get(step)
        if window is None:
            # Queued below the limit in a new process: the participant was failing, so start at what is in flight.
            size = max(1, min(self.limit, self._in_flight.get(step, 0))) if self._queued.get(step) else self.limit
            window = self._windows[step] = _Window(self.limit, size)
        return window
