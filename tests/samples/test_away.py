"""A service that is away for a while, on a real Kafka: it comes back to all that it was asked meanwhile."""

from pathlib import Path

import orjson
import pytest

from app.samples.behaviour import Behaviour
from app.samples.outage import Outage
from app.samples.payment import PAYMENT
from tests.samples.commands import command
from tests.samples.wire import PATIENCE, HandClock, Wire, ended, kept, serving, start

pytestmark = pytest.mark.broker
AWAY = Behaviour(away=Outage(10, 40))


def test_a_service_that_was_away_answers_its_backlog(wire: Wire, tmp_path: Path) -> None:
    """Before, it answers; while it is away nothing is read or said; then each command is answered, once."""
    orders, clock = [f"o-{number}" for number in range(30)], HandClock()
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


def test_what_was_under_way_waits_too(wire: Wire, tmp_path: Path) -> None:
    """A reply that falls due while the service is away is sent when it is back."""
    slow, clock = Behaviour(delay_ms=(20_000, 20_000), away=Outage(10, 40)), HandClock()
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
    """It ends at once, and another start on the same books answers what came meanwhile."""
    clock = HandClock()
    with serving(wire, PAYMENT, tmp_path / "p", AWAY, clock):
        clock.put(10)
        wire.send("payment.commands", [command("o-1", "payment")])
    assert wire.records("payment.replies") == 0
    with serving(wire, PAYMENT, tmp_path / "p", Behaviour()):
        wire.replies(PAYMENT, 1)


def test_outages_are_asked_for_by_command(wire: Wire, tmp_path: Path) -> None:
    """A process that is broken from its start, and would be away later, fails what it is asked."""
    outages = ("--broken", "0-600", "--away", "600-inf")
    with ended(start(wire, PAYMENT, tmp_path / "p", *outages)) as process:
        wire.send("payment.commands", [command("o-1", "payment")])
        (reply,) = wire.replies(PAYMENT, 1)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert reply.header("ce_type") == "payment.failed"
    assert orjson.loads(reply.value or b"") == {"order_id": "o-1", "reason": "out of order", "retryable": True}
