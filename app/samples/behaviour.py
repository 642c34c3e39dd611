"""How a participant misbehaves, drawn from a seed and the ids of what it is asked, so that a run can be told again."""

from dataclasses import dataclass, fields
from enum import Enum
from hashlib import blake2b

from app.saga.identity import Direction
from app.samples.outage import NEVER, Outage
from app.samples.trouble import Trouble

LONGEST_DELAY_MS = 60_000

Range = tuple[int, int]


class Failure(Enum):
    """A technical failure that another attempt may get over, or one that the participant calls final."""

    RETRYABLE = True
    FOR_GOOD = False


class Crash(Enum):
    """Where the process dies, always after the books were written."""

    BEFORE_REPLY = "before the reply"
    AFTER_REPLY = "after the reply, before its command counts as read"


@dataclass(frozen=True, slots=True)
class Whim:
    """What goes wrong with one attempt; `works_first`: a failure that comes when the work was already done."""

    failure: Failure | None
    works_first: bool
    delay_ms: int
    copies: int
    crash: Crash | None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Shares from 0 to 1: `refuse` of orders, the others of attempts. Ranges are in ms.

    `away`: nothing is read or sent; what came meanwhile is answered afterwards. `broken`: what is not in the books
    yet fails, and may be tried again. A failed undo makes an order stuck. Raises Trouble, with a sentence, for what
    cannot be.
    """

    seed: int = 0
    refuse: float = 0.0
    fail: float = 0.0
    fail_for_good: float = 0.0
    fail_undo_for_good: float = 0.0
    duplicate: float = 0.0
    lose: float = 0.0
    crash: float = 0.0
    slow: float = 0.0
    delay_ms: Range = (0, 0)
    slow_ms: Range = (1_000, 3_000)
    away: Outage = NEVER
    broken: Outage = NEVER

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type is float and not 0 <= value <= 1:
                raise Trouble(f"{field.name} is a share: give a number from 0 to 1, not {value}")
            if field.type is Range and not 0 <= value[0] <= value[1] <= LONGEST_DELAY_MS:
                raise Trouble(f"{field.name} needs two times from 0 to {LONGEST_DELAY_MS} ms, the shorter one first")

    def refuses(self, order_id: str) -> bool:
        """Whether an order is refused for no reason of its own: always the same for one order."""
        return self._hits(self.refuse, "refuse", order_id)

    def whim(self, command_id: str, direction: Direction) -> Whim:
        """What goes wrong with this attempt: the same for each copy of the command."""
        for_good = self.fail_for_good if direction == "do" else self.fail_undo_for_good
        failure = Failure.FOR_GOOD if self._hits(for_good, "fail for good", command_id) else None
        if failure is None and self._hits(self.fail, "fail", command_id):
            failure = Failure.RETRYABLE
        lost = self._hits(self.lose, "lose", command_id)
        return Whim(
            failure,
            failure is not None and self._hits(0.5, "work first", command_id),
            self._delay(command_id),
            0 if lost else 2 if self._hits(self.duplicate, "duplicate", command_id) else 1,
            self._crash(command_id),
        )

    def _crash(self, command_id: str) -> Crash | None:
        if not self._hits(self.crash, "crash", command_id):
            return None
        return Crash.AFTER_REPLY if self._hits(0.5, "crash late", command_id) else Crash.BEFORE_REPLY

    def _delay(self, command_id: str) -> int:
        least, most = self.slow_ms if self._hits(self.slow, "slow", command_id) else self.delay_ms
        return least if least == most else least + int((most - least + 1) * chance(self.seed, "delay", command_id))

    def _hits(self, share: float, what: str, id: str) -> bool:
        return share > 0 and chance(self.seed, what, id) < share


def chance(seed: int, what: str, id: str) -> float:
    """A number from 0 up to 1 that looks drawn by chance and follows from its arguments alone."""
    digest = blake2b(f"{seed}\n{what}\n{id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
