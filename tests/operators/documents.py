"""Documents of `saga.state`, as the orchestrator writes them."""

from app.saga.state import ActiveStep, Compensating, Completed, InFlight, Progress, Running, SagaData, Stuck, Why
from app.wire.state_codec import encode

DATA = SagaData("order", 1, "d" * 32, 0, {"customer_id": 'ann "stuck"'}, {})
WHY = Why("no funds", "payment", requested=False)
IN_FLIGHT = InFlight("shipping", 2, 1, 500, 1_500)


def stuck(step: str = "reservation", attempt: int = 12, since_ms: int = 1_000, reason: str = "timed out") -> Stuck:
    """A step that is stuck after so many attempts."""
    return Stuck(step, attempt, 1, since_ms, reason)


def compensating(*steps: ActiveStep, why: Why = WHY) -> bytes:
    """A saga with these steps being undone."""
    return encode(Progress(7, Compensating(DATA, why, steps, ())))


def running(*steps: ActiveStep) -> bytes:
    """A saga with these steps being done."""
    return encode(Progress(7, Running(DATA, None, steps)))


def ended() -> bytes:
    """A saga that is completed."""
    return encode(Progress(8, Completed(DATA, 9_000)))
