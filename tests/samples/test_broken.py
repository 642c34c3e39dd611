"""A service that is out of order for a while: time is passed in, in seconds after its start."""

from typing import Any

import orjson

from app.samples.behaviour import Behaviour
from app.samples.desk import Desk
from app.samples.ledger import Ledger
from app.samples.outage import Outage
from app.samples.payment import PAYMENT
from app.samples.replies import Reply
from tests.samples.commands import Direction, command

BROKEN = Behaviour(broken=Outage(10, 40))
OUT_OF_ORDER = {"order_id": "o-1", "reason": "out of order", "retryable": True}


def ask(
    ledger: Ledger, seconds: float, attempt: int = 1, direction: Direction = "do", behaviour: Behaviour = BROKEN
) -> Reply:
    """The answer to a command of the order o-1 that comes so many seconds after the start."""
    record = command("o-1", "payment", direction, attempt)
    with ledger.transaction():
        desk = Desk(PAYMENT, behaviour, ledger)
        return desk.answer(record.key, record.value, record.headers, int(seconds * 1_000), seconds)


def said(reply: Reply) -> tuple[str, Any]:
    """Type and value of a reply."""
    return (dict(reply.headers)["ce_type"] or b"").decode(), orjson.loads(reply.value)


def test_every_attempt_fails_until_the_end_of_the_outage(ledger: Ledger) -> None:
    """Each may be tried again, none of them works, and the first one afterwards does."""
    for attempt, seconds in enumerate((10, 25, 39.9), 1):
        assert said(ask(ledger, seconds, attempt)) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.kept() == {}
    assert said(ask(ledger, 40, attempt=4))[0] == "payment.charged"
    assert ledger.kept() == {"EUR": 520}


def test_nothing_fails_before_the_outage(ledger: Ledger) -> None:
    """What comes earlier is done, and what was done before is not forgotten in it."""
    assert said(ask(ledger, 9.9))[0] == "payment.charged"
    assert said(ask(ledger, 25, attempt=2))[0] == "payment.charged"
    assert ledger.kept() == {"EUR": 520}


def test_undos_fail_too(ledger: Ledger) -> None:
    """What was charged stays charged until the service is mended."""
    ask(ledger, 0)
    assert said(ask(ledger, 20, direction="undo")) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.kept() == {"EUR": 520}
    assert said(ask(ledger, 41, direction="undo", attempt=2))[0] == "payment.refunded"
    assert ledger.kept() == {}


def test_a_copy_of_a_command_is_answered_the_same_in_and_after_the_outage(ledger: Ledger) -> None:
    """A command that failed in it has failed for ever; one that was done before it is done in it as well."""
    failed = ask(ledger, 20, attempt=2)
    assert ask(ledger, 50, attempt=2) == failed
    done = ask(ledger, 0, attempt=1)
    assert ask(ledger, 20, attempt=1) == done


def test_an_outage_outdoes_chance(ledger: Ledger) -> None:
    """What would have failed for good may be tried again, as nobody looked at it."""
    clumsy = Behaviour(fail_for_good=1, refuse=1, broken=Outage(10, 40))
    assert said(ask(ledger, 20, behaviour=clumsy)) == ("payment.failed", OUT_OF_ORDER)
    assert ledger.answers() == {}
