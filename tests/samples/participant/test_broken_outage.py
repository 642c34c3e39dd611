"""A service that is broken for a while; the tests pass the time in seconds after its start."""

from typing import Any

import orjson

from app.samples.participant.command_handler import CommandHandler
from app.samples.participant.fault_plan import FaultPlan, Outage
from app.samples.participant.ledger import Ledger
from app.samples.participant.reply_outbox import Reply
from app.samples.services.payment import PAYMENT
from tests.samples.commands import Direction, command

BROKEN = FaultPlan(broken=Outage(10, 40))
OUT_OF_ORDER = {"order_id": "o-1", "reason": "out of order", "retryable": True}


def ask(
    ledger: Ledger, seconds: float, attempt: int = 1, direction: Direction = "do", faults: FaultPlan = BROKEN
) -> Reply:
    """The reply to a command of the order o-1 that comes so many seconds after the start."""
    record = command("o-1", "payment", direction, attempt)
    with ledger.transaction():
        handler = CommandHandler(PAYMENT, faults, ledger)
        return handler.answer(record.key, record.value, record.headers, int(seconds * 1_000), seconds)


def content(reply: Reply) -> tuple[str, Any]:
    """Type and value of a reply."""
    return (dict(reply.headers)["ce_type"] or b"").decode(), orjson.loads(reply.value)


def test_every_attempt_fails_until_the_end_of_the_outage(ledger: Ledger) -> None:
    """Each failure is retryable and moves nothing; the first attempt after the outage succeeds."""
    for attempt, seconds in enumerate((10, 25, 39.9), 1):
        assert content(ask(ledger, seconds, attempt)) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.kept() == {}
    assert content(ask(ledger, 40, attempt=4))[0] == "payment.charged"
    assert ledger.kept() == {"EUR": 520}


def test_nothing_fails_before_the_outage(ledger: Ledger) -> None:
    """A command done before the outage is answered from the ledger within it."""
    assert content(ask(ledger, 9.9))[0] == "payment.charged"
    assert content(ask(ledger, 25, attempt=2))[0] == "payment.charged"
    assert ledger.kept() == {"EUR": 520}


def test_undos_fail_too(ledger: Ledger) -> None:
    """A charge stays until an undo after the outage."""
    ask(ledger, 0)
    assert content(ask(ledger, 20, direction="undo")) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.kept() == {"EUR": 520}
    assert content(ask(ledger, 41, direction="undo", attempt=2))[0] == "payment.refunded"
    assert ledger.kept() == {}


def test_a_copy_of_a_command_is_answered_the_same_in_and_after_the_outage(ledger: Ledger) -> None:
    """A command that failed in it fails afterwards too; one that succeeded before it succeeds in it."""
    failed = ask(ledger, 20, attempt=2)
    assert ask(ledger, 50, attempt=2) == failed
    done = ask(ledger, 0, attempt=1)
    assert ask(ledger, 20, attempt=1) == done


def test_an_outage_comes_before_other_faults(ledger: Ledger) -> None:
    """An attempt that was drawn to fail for good fails retryably during the outage."""
    faulty = FaultPlan(fail_for_good=1, refuse=1, broken=Outage(10, 40))
    assert content(ask(ledger, 20, faults=faulty)) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.answers() == {}
