"""A service that is away for a while, on a real Kafka: afterwards it answers its backlog."""

from pathlib import Path

import orjson
import pytest

from app.samples.participant.fault_plan import FaultPlan, Outage
from app.samples.services.payment import PAYMENT
from tests.samples.commands import command
from tests.samples.wire import PATIENCE, ManualClock, Wire, ended, kept, serving, start

pytestmark = pytest.mark.broker
AWAY = FaultPlan(away=Outage(10, 40))


def test_a_service_that_was_away_answers_its_backlog(wire: Wire, tmp_path: Path) -> None:
    """During the outage it reads and sends nothing; afterwards it answers each command once."""
    orders, clock = [f"o-{number}" for number in range(30)], ManualClock()
    with serving(wire, PAYMENT, tmp_path / "p", AWAY, clock):
        wire.send("payment.commands", [command(order, "payment") for order in orders[:10]])
        wire.replies(PAYMENT, 10)
        clock.put(10)
        wire.send("payment.commands", [command(order, "payment") for order in orders[10:]])
        clock.wait()
        assert wire.records("payment.replies") == 10
        assert kept(tmp_path / "p") == {"EUR": 10 * 520}
        clock.put(40)
        wire.replies(PAYMENT, 30)
    answered = [orjson.loads(reply.value or b"")["order_id"] for reply in wire.everything("payment.replies")]
    assert sorted(answered) == sorted(orders)
    assert wire.committed(PAYMENT) == 30
    assert kept(tmp_path / "p") == {"EUR": 30 * 520}


def test_a_reply_due_during_the_outage_is_sent_afterwards(wire: Wire, tmp_path: Path) -> None:
    """The command was read before the outage; its delay ends within it."""
    slow, clock = FaultPlan(delay_ms=(20_000, 20_000), away=Outage(10, 40)), ManualClock()
    with serving(wire, PAYMENT, tmp_path / "p", slow, clock):
        wire.send("payment.commands", [command("o-1", "payment")])
        while not kept(tmp_path / "p"):
            clock.wait()
        clock.put(10)
        clock.put(39)
        assert wire.records("payment.replies") == 0
        clock.put(40)
        wire.replies(PAYMENT, 1)


def test_a_service_can_be_stopped_while_it_is_away(wire: Wire, tmp_path: Path) -> None:
    """It ends at once; the next start with the same ledger answers the backlog."""
    clock = ManualClock()
    with serving(wire, PAYMENT, tmp_path / "p", AWAY, clock):
        clock.put(10)
        wire.send("payment.commands", [command("o-1", "payment")])
    assert wire.records("payment.replies") == 0
    with serving(wire, PAYMENT, tmp_path / "p", FaultPlan()):
        wire.replies(PAYMENT, 1)


def test_outages_are_options_of_the_command(wire: Wire, tmp_path: Path) -> None:
    """A process that is broken from its start, and away later, fails its commands."""
    outages = ("--broken", "0-600", "--away", "600-inf")
    with ended(start(wire, PAYMENT, tmp_path / "p", *outages)) as process:
        wire.send("payment.commands", [command("o-1", "payment")])
        (reply,) = wire.replies(PAYMENT, 1)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert reply.header("ce_type") == "payment.failed"
    assert orjson.loads(reply.value or b"") == {"order_id": "o-1", "reason": "out of order", "retryable": True}
