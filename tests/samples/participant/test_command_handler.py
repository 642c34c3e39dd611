"""The contract's rules for a participant, on a real ledger."""

from collections import Counter
from typing import Any

import orjson
import pytest

from app.samples.participant.command_handler import CommandHandler
from app.samples.participant.fault_plan import FaultPlan
from app.samples.participant.ledger import Ledger
from app.samples.participant.reply_outbox import Reply
from app.samples.services.base import Service
from app.samples.services.notice import NOTICE
from app.samples.services.payment import PAYMENT
from app.samples.services.reservation import RESERVATION
from app.samples.services.shipping import SHIPPING
from app.wire.invalid_record import InvalidRecord
from tests.samples.commands import Record, command

AT = 1_767_323_045_006
PIECES = Counter({"A": 5, "B": 1})
SERVICES = {service.name: service for service in (RESERVATION, PAYMENT, SHIPPING, NOTICE)}


def ask(ledger: Ledger, record: Record, faults: FaultPlan = FaultPlan(), at_ms: int = AT) -> Reply:  # noqa: B008
    """The reply of the service that the command is for."""
    service = SERVICES[record.id.split(":")[1]]
    with ledger.transaction():
        return CommandHandler(service, faults, ledger).answer(record.key, record.value, record.headers, at_ms)


def content(reply: Reply) -> tuple[str, Any]:
    """Type and value of a reply."""
    return header(reply, "ce_type"), orjson.loads(reply.value)


def header(reply: Reply, name: str) -> str:
    """A header as text."""
    return (dict(reply.headers)[name] or b"").decode()


def test_products_are_reserved(ledger: Ledger) -> None:
    """The reply names the reservation; all pieces of all lines are taken from the stock."""
    reply = ask(ledger, command("o-1"))
    assert content(reply) == ("reservation.reserved", {"order_id": "o-1", "reservation_id": "r-o-1"})
    assert ledger.kept() == PIECES


def test_money_is_charged(ledger: Ledger) -> None:
    """The reply names the payment; the total, not the sum of the lines, is taken from the customer's account."""
    reply = ask(ledger, command("o-1", "payment"))
    assert content(reply) == ("payment.charged", {"order_id": "o-1", "payment_id": "p-o-1"})
    assert ledger.kept() == {"EUR": 520}
    assert ledger.accounts("EUR") == {"c-1": 520}


def test_parcels_are_shipped(ledger: Ledger) -> None:
    """The reply names the parcel; all pieces of all lines are moved for the customer."""
    reply = ask(ledger, command("o-1", "shipping"))
    assert content(reply) == ("shipping.shipped", {"order_id": "o-1", "shipping_id": "s-o-1"})
    assert ledger.kept() == PIECES
    assert ledger.accounts("A") == {"c-1": 5}


def test_customers_are_notified(ledger: Ledger) -> None:
    """The reply names the notice; the customer gets one, however many attempts there are."""
    for attempt in (1, 2, 1):
        reply = ask(ledger, command("o-1", "notice", attempt=attempt))
        assert content(reply) == ("notice.sent", {"order_id": "o-1", "notice_id": "n-o-1"})
    assert ledger.accounts("notice") == {"c-1": 1}


def test_a_reply_has_the_headers_of_the_contract(ledger: Ledger) -> None:
    """Its ids follow from the command's, and it carries the trace on."""
    record = command("o-1")
    trace = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    reply = ask(ledger, Record(record.key, record.value, [*record.headers, trace]))
    assert reply.key == b"o-1"
    assert reply.headers == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"o-1:reservation:do:1:reply"),
        ("ce_type", b"reservation.reserved"),
        ("ce_source", b"/reservation"),
        ("ce_time", b"2026-01-02T03:04:05.006Z"),
        ("ce_correlationid", b"o-1"),
        ("ce_causationid", b"o-1:reservation:do:1"),
        ("content-type", b"application/json"),
        trace,
    ]


@pytest.mark.parametrize("step", SERVICES)
def test_a_copy_gets_the_same_reply_to_the_byte(ledger: Ledger, step: str) -> None:
    """A command that is read again later changes nothing."""
    first = ask(ledger, command("o-1", step))
    kept = ledger.kept()
    assert ask(ledger, command("o-1", step), at_ms=AT + 60_000) == first
    assert ledger.kept() == kept


def test_another_attempt_gets_the_same_answer(ledger: Ledger) -> None:
    """All attempts share one answer; each reply names its own attempt."""
    first, second = ask(ledger, command("o-1")), ask(ledger, command("o-1", attempt=2))
    assert content(first) == content(second)
    assert header(second, "ce_causationid") == "o-1:reservation:do:2"
    assert header(second, "ce_id") == "o-1:reservation:do:2:reply"
    assert ledger.kept() == PIECES


def test_an_undo_gives_back_what_was_taken(ledger: Ledger) -> None:
    """Once, however many attempts there are; each gets the same answer."""
    ask(ledger, command("o-1"))
    undos = [ask(ledger, command("o-1", direction="undo", attempt=attempt)) for attempt in (1, 2, 1)]
    assert {str(content(reply)) for reply in undos} == {str(("reservation.released", {"order_id": "o-1"}))}
    assert ledger.kept() == {}


def test_a_refund_is_what_was_charged(ledger: Ledger) -> None:
    """The ledger decides the amount, whatever the command says."""
    ask(ledger, command("o-1", "payment"))
    ask(ledger, command("o-1", "payment", "undo", data={"total": {"currency": "USD", "minor": 9}}))
    assert ledger.kept() == {}


@pytest.mark.parametrize("step", ("reservation", "payment"))
def test_an_undo_before_its_do_bars_it(ledger: Ledger, step: str) -> None:
    """The undo succeeds without an effect; every attempt of the do after it is refused."""
    service = SERVICES[step]
    assert content(ask(ledger, command("o-1", step, "undo")))[0] == service.undone
    for attempt in (1, 2):
        late = content(ask(ledger, command("o-1", step, attempt=attempt)))
        assert late == (service.refused, {"order_id": "o-1", "reason": "undone before it was done"})
    assert ledger.kept() == {}


def test_orders_do_not_touch_each_other(ledger: Ledger) -> None:
    """An undo of one order changes no other order."""
    ask(ledger, command("o-1"))
    ask(ledger, command("o-2"))
    ask(ledger, command("o-1", direction="undo"))
    assert ledger.kept() == PIECES
    assert ledger.answers() == {"reservation.reserved": 2, "reservation.released": 1}


def test_a_product_out_of_stock_refuses_the_whole_order(ledger: Ledger) -> None:
    """Nothing is taken, and the undo gives nothing back."""
    line = {"sku": "SOLD-OUT-A", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1}}
    reply = ask(ledger, command("o-1", data={"lines": [*LINES_IN_STOCK, line]}))
    assert content(reply) == ("reservation.rejected", {"order_id": "o-1", "reason": "out of stock"})
    assert content(ask(ledger, command("o-1", direction="undo")))[0] == "reservation.released"
    assert ledger.kept() == {}


LINES_IN_STOCK = [{"sku": "A", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1}}]


def test_a_marked_customer_is_declined(ledger: Ledger) -> None:
    """Nothing is charged."""
    reply = ask(ledger, command("o-1", "payment", data={"customer_id": "c-broke-7"}))
    assert content(reply) == ("payment.declined", {"order_id": "o-1", "reason": "card declined"})
    assert ledger.kept() == {}


def test_a_customer_without_a_carrier_is_refused(ledger: Ledger) -> None:
    """Nothing is shipped."""
    reply = ask(ledger, command("o-1", "shipping", data={"customer_id": "c-nowhere-7"}))
    assert content(reply) == ("shipping.refused", {"order_id": "o-1", "reason": "no carrier serves the address"})
    assert ledger.kept() == {}


def test_a_technical_failure_is_not_final(ledger: Ledger) -> None:
    """The next attempt is answered as if it were the first."""
    failed = content(ask(ledger, command("o-1"), FaultPlan(fail=1)))
    assert failed[0] == "reservation.failed"
    assert failed[1]["retryable"] is True
    assert "reservation.failed" not in ledger.answers()
    assert content(ask(ledger, command("o-1", attempt=2)))[0] == "reservation.reserved"
    assert ledger.kept() == PIECES


@pytest.mark.parametrize(
    ("record", "faults"),
    ((command("o-1"), FaultPlan(fail=1)), (command("o-1", data={"lines": []}), FaultPlan())),
    ids=("by chance", "for wrong data"),
)
def test_a_copy_of_a_failed_command_gets_the_same_failure(ledger: Ledger, record: Record, faults: FaultPlan) -> None:
    """Byte for byte, although it comes later, after a restart of the service without faults."""
    failed = ask(ledger, record, faults)
    assert content(failed)[0] == "reservation.failed"
    assert ask(ledger, record, at_ms=AT + 60_000) == failed


def test_a_failure_may_come_after_the_work(ledger: Ledger) -> None:
    """About half of the failed attempts did their work, as behind a lost connection, so that an undo is needed."""
    orders = [f"o-{number}" for number in range(200)]
    faults = FaultPlan(fail_for_good=1)
    replies = [content(ask(ledger, command(order, "payment"), faults)) for order in orders]
    assert {(type, value["retryable"]) for type, value in replies} == {("payment.failed", False)}
    assert 60 < ledger.kept()["EUR"] / 520 < 140
    for order in orders:
        ask(ledger, command(order, "payment", "undo"), faults)
    assert ledger.kept() == {}


def test_refusals_by_chance_are_final(ledger: Ledger) -> None:
    """A refused order stays refused after a restart of the service without faults."""
    first = content(ask(ledger, command("o-1"), FaultPlan(refuse=1)))
    assert first[0] == "reservation.rejected"
    assert content(ask(ledger, command("o-1", attempt=2))) == first


@pytest.mark.parametrize(
    ("record", "reason"),
    (
        (command("o-1", data={"lines": []}), "invalid: lines must be a list of 1 to 500"),
        (command("o-1", "payment", data={"total": None}), "invalid: total must be an object"),
        (
            command("o-1", "shipping", data={"reservation_id": None}),
            "invalid: reservation_id must be a string of at most 1024 characters",
        ),
        (
            command("o-1", "notice", data={"shipping_id": 7}),
            "invalid: shipping_id must be a string of at most 1024 characters",
        ),
    ),
)
def test_invalid_data_fail_for_good(ledger: Ledger, record: Record, reason: str) -> None:
    """With the reason, and without an entry in the ledger."""
    type, value = content(ask(ledger, record))
    assert type.endswith(".failed")
    assert value == {"order_id": "o-1", "reason": reason, "retryable": False}
    assert ledger.answers() == {}


@pytest.mark.parametrize(
    ("name", "text"),
    (
        ("ce_type", b"payment.charge"),
        ("ce_idempotencykey", b"o-2:reservation:do"),
        ("ce_idempotencykey", b"o-1:reservation:undo"),
        ("ce_idempotencykey", b"\xff"),
        ("ce_idempotencykey", None),
    ),
)
def test_a_command_that_contradicts_itself_fails_for_good(ledger: Ledger, name: str, text: bytes | None) -> None:
    """A foreign type or idempotency key is answered, and moves nothing."""
    record = command("o-1")
    headers = [item for item in record.headers if item[0] != name]
    type, value = content(ask(ledger, Record(record.key, record.value, [*headers, (name, text)])))
    assert (type, value["retryable"]) == ("reservation.failed", False)
    assert ledger.answers() == {}


@pytest.mark.parametrize("missing", ("key", "ce_id", "order_id", "value"))
def test_a_record_without_an_addressee_is_invalid(ledger: Ledger, missing: str) -> None:
    """Without a message id, an order id and the key that belongs to it, there is nobody to reply to."""
    record = command("o-1")
    key = b"o-2" if missing == "key" else record.key
    value = b"{}" if missing == "order_id" else b"no" if missing == "value" else record.value
    headers = [item for item in record.headers if item[0] != missing]
    with pytest.raises(InvalidRecord), ledger.transaction():
        CommandHandler(RESERVATION, FaultPlan(), ledger).answer(key, value, headers, AT)


@pytest.mark.parametrize("step", ("shipping", "notice"))
def test_an_undo_fails_at_a_service_without_one(ledger: Ledger, step: str) -> None:
    """The type is unknown there: the command fails for good, and the do stands."""
    ask(ledger, command("o-1", step))
    kept = ledger.kept()
    record = command("o-1", step)
    undo = [("ce_id", f"o-1:{step}:undo:1".encode()), ("ce_idempotencykey", f"o-1:{step}:undo".encode())]
    undo += [("ce_type", f"{step}.undo".encode())]
    given = [item for item in record.headers if item[0] not in dict(undo)]
    type, value = content(ask(ledger, Record(record.key, record.value, [*given, *undo])))
    assert (type, value["retryable"]) == (f"{step}.failed", False)
    assert value["reason"] == f"the {step} service knows no commands of this type"
    assert ledger.kept() == kept


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_structured_mode_is_read_too(ledger: Ledger, service: Service) -> None:
    """A command with its CloudEvents envelope in the value gets the same answer."""
    record = command("o-1", service.name)
    envelope = {name.removeprefix("ce_"): (text or b"").decode() for name, text in record.headers}
    value = orjson.dumps({**envelope, "data": orjson.loads(record.value)})
    structured = Record(record.key, value, [("content-type", b"application/cloudevents+json; charset=utf-8")])
    with ledger.transaction():
        reply = CommandHandler(service, FaultPlan(), ledger).answer(
            structured.key, structured.value, structured.headers, AT
        )
    assert content(reply)[0] == service.done
    assert header(reply, "ce_causationid") == record.id
