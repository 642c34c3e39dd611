"""How many commands a step's participant may have outstanding in one partition: the more, the better it answers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping

_REMEMBERED = 16  # of what came last; what is older counts half, and half of that
_MODEST = 100  # room that is beyond this, and beyond what is outstanding, is no measure of what a participant bears
_CUT_PAUSE_MS = 1_000  # the window is halved once in this time at most: troubles come in swarms
_FIRST_PROBE_MS = 1_000
_LONGEST_PROBE_MS = 30_000


class _Window:
    """What one step's participant is thought to bear. Grows by one with each answer, and is halved when of what came
    last more was trouble.

    When it is down to one command, that is a probe: after each that fails, the next is sent twice as much later.
    """

    __slots__ = ("_answers", "_cut_ms", "_limit", "_probe_ms", "_troubles", "opens_ms", "size")

    def __init__(self, limit: int, size: int) -> None:
        self._limit = limit
        self.size = size
        self._cut_ms = self._probe_ms = self.opens_ms = 0
        self._answers = self._troubles = 0

    def answered(self) -> None:
        self._answers += 1
        self._fade()
        self._probe_ms = self.opens_ms = 0
        if self.size < self._limit:
            self.size += 1

    def troubled(self, asked: int, now_ms: int) -> None:
        self._troubles += 1
        self._fade()
        if self.size > 1 and self._troubles > self._answers and abs(now_ms - self._cut_ms) >= _CUT_PAUSE_MS:
            self.size = min(self.size, max(asked, _MODEST)) // 2
            self._cut_ms = now_ms
            self._answers = self._troubles = 0
        if self.size == 1 and now_ms >= self.opens_ms:  # else it was sent before the probe
            self._probe_ms = min(2 * self._probe_ms, _LONGEST_PROBE_MS) or _FIRST_PROBE_MS
            self.opens_ms = now_ms + self._probe_ms

    def _fade(self) -> None:
        if self._answers + self._troubles > _REMEMBERED:
            self._answers //= 2
            self._troubles //= 2


class Gate:
    """Room for the steps of one partition's sagas. What is asked for, and what waits, is counted by who keeps them."""

    def __init__(self, limit: int, asked: Mapping[str, int], waiting: Mapping[str, int]) -> None:
        self._asked = asked
        self._waiting = waiting
        self._granted: dict[str, int] = defaultdict(int)
        self._denied: set[str] = set()
        self._limit = limit
        self._windows: dict[str, _Window] = {}

    def has_room(self, step: str) -> bool:
        """Takes room for one command more, if there is some and nobody else waits for it."""
        outstanding = self._asked.get(step, 0) + self._granted[step]
        if self._waiting.get(step) or step in self._denied or outstanding >= self._window(step).size:
            self._denied.add(step)
            return False
        self._granted[step] += 1
        return True

    def bears(self, step: str) -> bool:
        """Whether a command that failed may keep its room during the pause before it is sent again."""
        size = self._window(step).size
        return size > 1 and self._asked.get(step, 0) <= size

    def answered(self, step: str) -> None:
        """The participant gave an answer."""
        window = self._windows.get(step)
        if window is not None:
            window.answered()

    def troubled(self, step: str, now_ms: int) -> None:
        """The participant gave none in time, or failed technically."""
        self._window(step).troubled(self._asked.get(step, 0), now_ms)

    def counted(self) -> None:
        """What was granted is counted now by who keeps the sagas."""
        self._granted.clear()
        self._denied.clear()

    def open(self, now_ms: int) -> dict[str, int]:
        """For how many of those that wait there is room now, by step."""
        return {
            step: min(free, self._waiting[step]) for step, free, opens_ms in self._with_room() if opens_ms <= now_ms
        }

    def next_ms(self) -> int | None:
        """When the next one that waits may be let in, if not after an answer; 0 stands for now."""
        return min((opens_ms for _, _, opens_ms in self._with_room()), default=None)

    def sizes(self) -> dict[str, int]:
        """How many commands each step's participant may have outstanding now."""
        return {step: window.size for step, window in list(self._windows.items())}

    def _with_room(self) -> Iterator[tuple[str, int, int]]:
        """The steps for which somebody waits and there is room: for how many, and from when on."""
        for step, waiting in self._waiting.items():
            if waiting:
                window = self._window(step)
                free = window.size - self._asked.get(step, 0)
                if free > 0:
                    yield step, free, window.opens_ms

    def _window(self, step: str) -> _Window:
        found = self._windows.get(step)
        if found is None:
            # A process that begins with sagas that wait below the limit finds a participant in trouble.
            size = max(1, min(self._limit, self._asked.get(step, 0))) if self._waiting.get(step) else self._limit
            found = self._windows[step] = _Window(self._limit, size)
        return found
