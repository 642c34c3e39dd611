"""The sample services on a real Kafka: commands in, replies out."""

from pathlib import Path
from statistics import median
from time import monotonic

import orjson
import pytest

from app.samples.participant.fault_plan import FaultPlan
from app.samples.services.base import Service
from app.samples.services.notice import NOTICE
from app.samples.services.payment import PAYMENT
from app.samples.services.reservation import RESERVATION
from app.samples.services.shipping import SHIPPING
from app.wire.partition import partition_of
from tests.samples.commands import Record, command
from tests.samples.wire import PARTITIONS, PATIENCE, Wire, ended, kept, serving, start

pytestmark = [pytest.mark.broker, pytest.mark.alone]
NO_FAULTS = FaultPlan()


def test_each_command_is_answered(wire: Wire, tmp_path: Path) -> None:
    """The reply has the order's key, is in the partition of Java's partitioner, and names its command."""
    orders = [f"o-{number}" for number in range(20)]
    with serving(wire, PAYMENT, tmp_path / "p", NO_FAULTS):
        wire.send("payment.commands", [command(order, "payment") for order in orders])
        replies = wire.replies(PAYMENT, 20)
    assert sorted((reply.key or b"").decode() for reply in replies) == sorted(orders)
    for reply in replies:
        order = (reply.key or b"").decode()
        assert reply.partition == partition_of(order.encode(), PARTITIONS)
        assert reply.header("ce_type") == "payment.charged"
        assert reply.header("ce_causationid") == f"{order}:payment:do:1"
        assert orjson.loads(reply.value or b"") == {"order_id": order, "payment_id": f"p-{order}"}
    assert wire.committed(PAYMENT) == 20


@pytest.mark.parametrize("service", (SHIPPING, NOTICE), ids=lambda service: service.name)
def test_services_without_an_undo_are_served(wire: Wire, tmp_path: Path, service: Service) -> None:
    """In a process of their own, like the others."""
    with ended(start(wire, service, tmp_path / "b")) as process:
        wire.send(service.commands_topic, [command("o-1", service.name)])
        (reply,) = wire.replies(service, 1)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert reply.header("ce_type") == service.done
    assert orjson.loads(reply.value or b"") == {"order_id": "o-1", service.result: f"{service.name[0]}-o-1"}


def test_a_command_sent_twice_has_one_effect(wire: Wire, tmp_path: Path) -> None:
    """Each copy gets the same reply, byte for byte, in one batch and after another start."""
    for starts in (1, 2):
        with serving(wire, RESERVATION, tmp_path / "r", NO_FAULTS):
            wire.send("reservation.commands", [command("o-1")] * 2)
            wire.replies(RESERVATION, 2 * starts)
    answers = wire.everything("reservation.replies")
    assert len(answers) == 4
    assert len({(reply.key, reply.value, reply.headers) for reply in answers}) == 1
    assert kept(tmp_path / "r") == {"A": 5, "B": 1}


def test_an_undo_overtakes_its_do(wire: Wire, tmp_path: Path) -> None:
    """The undo succeeds without an effect, and the do after it is refused."""
    with serving(wire, RESERVATION, tmp_path / "r", NO_FAULTS):
        wire.send("reservation.commands", [command("o-1", direction="undo"), command("o-1")])
        replies = wire.replies(RESERVATION, 2)
    assert [reply.header("ce_type") for reply in replies] == ["reservation.released", "reservation.rejected"]
    assert kept(tmp_path / "r") == {}


def test_an_invalid_record_is_skipped(wire: Wire, tmp_path: Path) -> None:
    """The commands beside it are answered."""
    good = command("o-1")
    bad = [
        Record(b"o-1", b"no JSON", good.headers),
        Record(b"o-1", good.value, []),
        Record(b"o-2", good.value, good.headers),
    ]
    with serving(wire, RESERVATION, tmp_path / "r", NO_FAULTS):
        wire.send("reservation.commands", [*bad, good, command("o-2")])
        replies = wire.replies(RESERVATION, 2)
    assert {reply.header("ce_causationid") for reply in replies} == {"o-1:reservation:do:1", "o-2:reservation:do:1"}
    assert wire.committed(RESERVATION) == 5


def test_a_slow_reply_does_not_delay_others(wire: Wire, tmp_path: Path) -> None:
    """Quick replies overtake a slow one; a service stopped before it was due sends it after its next start."""
    slowing = FaultPlan(slow=0.2, slow_ms=(60_000, 60_000))
    commands = [command(f"o-{number}") for number in range(30)]
    slow = {each.id for each in commands if slowing.fault_for(each.id, "do").delay_ms}
    assert 0 < len(slow) < 30
    with serving(wire, RESERVATION, tmp_path / "r", slowing):
        wire.send("reservation.commands", commands)
        quick = wire.replies(RESERVATION, 30 - len(slow))
    assert {reply.header("ce_causationid") for reply in quick} == {each.id for each in commands} - slow
    assert wire.committed(RESERVATION) < 30
    with serving(wire, RESERVATION, tmp_path / "r", NO_FAULTS):
        answered = wire.read(
            "reservation.replies", lambda replies: slow <= {each.header("ce_causationid") for each in replies}
        )
    assert len({reply.header("ce_id") for reply in answered}) == 30
    assert wire.committed(RESERVATION) == 30
    assert kept(tmp_path / "r") == {"A": 150, "B": 30}


def test_replies_are_lost_and_duplicated_as_planned(wire: Wire, tmp_path: Path) -> None:
    """A lost reply is never sent, although its command is done and its offset committed; a duplicate is equal."""
    lossy = FaultPlan(lose=0.3, duplicate=0.5)
    commands = [command(f"o-{number}") for number in range(40)]
    copies = {each.id: lossy.fault_for(each.id, "do").copies for each in commands}
    assert set(copies.values()) == {0, 1, 2}
    with serving(wire, RESERVATION, tmp_path / "r", lossy):
        wire.send("reservation.commands", commands)
        wire.replies(RESERVATION, sum(copies.values()))
    replies = [reply.header("ce_causationid") for reply in wire.everything("reservation.replies")]
    assert {id: replies.count(id) for id in copies} == copies
    assert wire.committed(RESERVATION) == 40
    assert kept(tmp_path / "r")["A"] == 40 * 5


def test_an_idle_service_answers_at_once(wire: Wire, tmp_path: Path) -> None:
    """No poll timeout and no linger delays its reply; the bound is wide, for slow machines."""
    took = []
    with serving(wire, RESERVATION, tmp_path / "r", NO_FAULTS), wire.following("reservation.replies") as next_reply:
        for number in range(15):
            begun = monotonic()
            wire.send("reservation.commands", [command(f"o-{number}")])
            next_reply()
            took.append(monotonic() - begun)
    assert median(took) < 0.1
