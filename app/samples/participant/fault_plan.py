"""The faults that a participant injects, drawn from a seed and the command ids, so that a run can be repeated."""

from dataclasses import dataclass, fields
from enum import Enum
from hashlib import blake2b

from app.ops.errors import CommandFailed
from app.saga.message_ids import Direction

LONGEST_DELAY_MS = 60_000

Range = tuple[int, int]


class Failure(Enum):
    """A technical failure; the value is the reply's `retryable`."""

    RETRYABLE = True
    FOR_GOOD = False


class Crash(Enum):
    """When the process dies; the ledger is written before in any case."""

    BEFORE_REPLY = "before the reply"
    AFTER_REPLY = "after the reply, before the command's offset is committed"


@dataclass(frozen=True, slots=True)
class Outage:
    """From `begins` until before `ends`, in seconds after the start; `ends` may be infinite.

    Raises CommandFailed, with a sentence, for impossible times.
    """

    begins: float
    ends: float

    def __post_init__(self) -> None:
        if not 0 <= self.begins <= self.ends:
            raise CommandFailed("an outage needs two times in seconds after the start, the earlier one first")

    def __contains__(self, seconds: float) -> bool:
        return self.begins <= seconds < self.ends


NEVER = Outage(0, 0)


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The faults of one attempt; with `works_first` the failure is reported although the work was done."""

    failure: Failure | None
    works_first: bool
    delay_ms: int
    copies: int
    crash: Crash | None


@dataclass(frozen=True, slots=True)
class FaultPlan:
    """Shares from 0 to 1: `refuse` of orders, the others of attempts. Ranges are in ms.

    `away`: nothing is read or sent, and the backlog is answered afterwards. `broken`: every command without an answer
    in the ledger fails and may be retried. `fail_undo_for_good` makes sagas stuck. Raises CommandFailed, with a
    sentence, for impossible values.
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
                raise CommandFailed(f"{field.name} is a share: give a number from 0 to 1, not {value}")
            if field.type is Range and not 0 <= value[0] <= value[1] <= LONGEST_DELAY_MS:
                raise CommandFailed(
                    f"{field.name} needs two times from 0 to {LONGEST_DELAY_MS} ms, the shorter one first"
                )

    def refuses(self, order_id: str) -> bool:
        """Whether this order is refused by chance: the same for all its commands."""
        return self._drawn(self.refuse, "refuse", order_id)

    def fault_for(self, command_id: str, direction: Direction) -> InjectedFault:
        """The faults of this attempt: the same for each copy of the command."""
        for_good = self.fail_for_good if direction == "do" else self.fail_undo_for_good
        failure = Failure.FOR_GOOD if self._drawn(for_good, "fail for good", command_id) else None
        if failure is None and self._drawn(self.fail, "fail", command_id):
            failure = Failure.RETRYABLE
        lost = self._drawn(self.lose, "lose", command_id)
        return InjectedFault(
            failure,
            failure is not None and self._drawn(0.5, "work first", command_id),
            self._delay(command_id),
            0 if lost else 2 if self._drawn(self.duplicate, "duplicate", command_id) else 1,
            self._crash(command_id),
        )

    def _crash(self, command_id: str) -> Crash | None:
        if not self._drawn(self.crash, "crash", command_id):
            return None
        return Crash.AFTER_REPLY if self._drawn(0.5, "crash late", command_id) else Crash.BEFORE_REPLY

    def _delay(self, command_id: str) -> int:
        least, most = self.slow_ms if self._drawn(self.slow, "slow", command_id) else self.delay_ms
        return least if least == most else least + int((most - least + 1) * chance(self.seed, "delay", command_id))

    def _drawn(self, share: float, purpose: str, id: str) -> bool:
        return share > 0 and chance(self.seed, purpose, id) < share


def chance(seed: int, purpose: str, id: str) -> float:
    """A number in [0, 1), uniform over ids, that depends on the arguments alone; `purpose` separates the draws."""
    digest = blake2b(f"{seed}\n{purpose}\n{id}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53
