"""Documents of `saga.state`, as the orchestrator writes them."""

from app.saga.state import Asked, Compensating, Completed, Facts, Leg, Progress, Running, Stuck, Why
from app.wire.statedoc import encode

FACTS = Facts("order", 1, "d" * 32, 0, {"customer_id": 'ann "stuck"'}, {})
WHY = Why("no funds", "payment", requested=False)
ASKED = Asked("shipping", 2, 1, 500, 1_500)


def stuck(step: str = "reservation", attempt: int = 12, since_ms: int = 1_000, reason: str = "timed out") -> Stuck:
    """A step that failed for good, after so many attempts."""
    return Stuck(step, attempt, 1, since_ms, reason)


def going_back(*legs: Leg, why: Why = WHY) -> bytes:
    """A saga with these steps being undone."""
    return encode(Progress(7, Compensating(FACTS, why, legs, ())))


def going_on(*legs: Leg) -> bytes:
    """A saga with these steps being done."""
    return encode(Progress(7, Running(FACTS, None, legs)))


def ended() -> bytes:
    """A saga that needs nobody."""
    return encode(Progress(8, Completed(FACTS, 9_000)))
