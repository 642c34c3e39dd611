"""The rules of the contract for a participant, on real books."""

from collections import Counter
from typing import Any

import orjson
import pytest

from app.samples.behaviour import Behaviour
from app.samples.desk import Desk
from app.samples.ledger import Ledger
from app.samples.notice import NOTICE
from app.samples.payment import PAYMENT
from app.samples.replies import Reply
from app.samples.reservation import RESERVATION
from app.samples.service import Service
from app.samples.shipping import SHIPPING
from app.wire.bad import Bad
from tests.samples.commands import Record, command

AT = 1_767_323_045_006
PIECES = Counter({"A": 5, "B": 1})
SERVICES = {service.name: service for service in (RESERVATION, PAYMENT, SHIPPING, NOTICE)}


def ask(ledger: Ledger, record: Record, behaviour: Behaviour = Behaviour(), at_ms: int = AT) -> Reply:  # noqa: B008
    """The answer of the service that the command is for."""
    service = SERVICES[record.id.split(":")[1]]
    with ledger.transaction():
        return Desk(service, behaviour, ledger).answer(record.key, record.value, record.headers, at_ms)


def said(reply: Reply) -> tuple[str, Any]:
    """Type and value of a reply."""
    return header(reply, "ce_type"), orjson.loads(reply.value)


def header(reply: Reply, name: str) -> str:
    """A header as text."""
    return (dict(reply.headers)[name] or b"").decode()


def test_products_are_reserved(ledger: Ledger) -> None:
    """A reservation names itself and takes all pieces of all lines out of the stock."""
    reply = ask(ledger, command("o-1"))
    assert said(reply) == ("reservation.reserved", {"order_id": "o-1", "reservation_id": "r-o-1"})
    assert ledger.kept() == PIECES


def test_money_is_charged(ledger: Ledger) -> None:
    """A charge names itself and takes the total, not the sum of the lines, from the customer's account."""
    reply = ask(ledger, command("o-1", "payment"))
    assert said(reply) == ("payment.charged", {"order_id": "o-1", "payment_id": "p-o-1"})
    assert ledger.kept() == {"EUR": 520}
    assert ledger.accounts("EUR") == {"c-1": 520}


def test_parcels_are_shipped(ledger: Ledger) -> None:
    """A parcel names itself, and holds all pieces of all lines for the customer."""
    reply = ask(ledger, command("o-1", "shipping"))
    assert said(reply) == ("shipping.shipped", {"order_id": "o-1", "shipping_id": "s-o-1"})
    assert ledger.kept() == PIECES
    assert ledger.accounts("A") == {"c-1": 5}


def test_customers_are_told(ledger: Ledger) -> None:
    """A notice names itself, and is counted for the customer: one, however often it is asked for."""
    for attempt in (1, 2, 1):
        reply = ask(ledger, command("o-1", "notice", attempt=attempt))
        assert said(reply) == ("notice.sent", {"order_id": "o-1", "notice_id": "n-o-1"})
    assert ledger.accounts("notice") == {"c-1": 1}


def test_a_reply_says_what_it_answers(ledger: Ledger) -> None:
    """Its headers are those of the contract: ids follow from the command's, and the trace goes on."""
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
    """Read again, and later, a command changes nothing and is answered as before."""
    first = ask(ledger, command("o-1", step))
    kept = ledger.kept()
    assert ask(ledger, command("o-1", step), at_ms=AT + 60_000) == first
    assert ledger.kept() == kept


def test_another_attempt_gets_the_same_answer(ledger: Ledger) -> None:
    """The answer belongs to the effect; the reply names the attempt that it is for."""
    first, second = ask(ledger, command("o-1")), ask(ledger, command("o-1", attempt=2))
    assert said(first) == said(second)
    assert header(second, "ce_causationid") == "o-1:reservation:do:2"
    assert header(second, "ce_id") == "o-1:reservation:do:2:reply"
    assert ledger.kept() == PIECES


def test_an_undo_gives_back_what_was_taken(ledger: Ledger) -> None:
    """Twice undone is undone once; each gets the same answer."""
    ask(ledger, command("o-1"))
    undos = [ask(ledger, command("o-1", direction="undo", attempt=attempt)) for attempt in (1, 2, 1)]
    assert {str(said(reply)) for reply in undos} == {str(("reservation.released", {"order_id": "o-1"}))}
    assert ledger.kept() == {}


def test_a_refund_is_what_was_charged(ledger: Ledger) -> None:
    """The books decide how much goes back, whatever the command says."""
    ask(ledger, command("o-1", "payment"))
    ask(ledger, command("o-1", "payment", "undo", data={"total": {"currency": "USD", "minor": 9}}))
    assert ledger.kept() == {}


@pytest.mark.parametrize("step", ("reservation", "payment"))
def test_an_undo_before_its_do_bars_it(ledger: Ledger, step: str) -> None:
    """The undo succeeds with no effect; the do that comes after it is refused, each time."""
    service = SERVICES[step]
    assert said(ask(ledger, command("o-1", step, "undo")))[0] == service.undone
    for attempt in (1, 2):
        late = said(ask(ledger, command("o-1", step, attempt=attempt)))
        assert late == (service.refused, {"order_id": "o-1", "reason": "undone before it was done"})
    assert ledger.kept() == {}


def test_orders_do_not_touch_each_other(ledger: Ledger) -> None:
    """An undo of one order leaves the others as they are."""
    ask(ledger, command("o-1"))
    ask(ledger, command("o-2"))
    ask(ledger, command("o-1", direction="undo"))
    assert ledger.kept() == PIECES
    assert ledger.answers() == {"reservation.reserved": 2, "reservation.released": 1}


def test_what_is_sold_out_is_refused_whole(ledger: Ledger) -> None:
    """One missing product has the whole order refused, and nothing is taken; its undo does nothing."""
    line = {"sku": "SOLD-OUT-A", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1}}
    reply = ask(ledger, command("o-1", data={"lines": [*LINES_OF_OTHERS, line]}))
    assert said(reply) == ("reservation.rejected", {"order_id": "o-1", "reason": "out of stock"})
    assert said(ask(ledger, command("o-1", direction="undo")))[0] == "reservation.released"
    assert ledger.kept() == {}


LINES_OF_OTHERS = [{"sku": "A", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 1}}]


def test_who_is_broke_is_declined(ledger: Ledger) -> None:
    """A marked customer pays nothing."""
    reply = ask(ledger, command("o-1", "payment", data={"customer_id": "c-broke-7"}))
    assert said(reply) == ("payment.declined", {"order_id": "o-1", "reason": "card declined"})
    assert ledger.kept() == {}


def test_who_lives_nowhere_is_refused(ledger: Ledger) -> None:
    """No carrier goes to a marked customer."""
    reply = ask(ledger, command("o-1", "shipping", data={"customer_id": "c-nowhere-7"}))
    assert said(reply) == ("shipping.refused", {"order_id": "o-1", "reason": "no carrier serves the address"})
    assert ledger.kept() == {}


def test_a_technical_failure_is_not_final(ledger: Ledger) -> None:
    """The next attempt gets an answer as if nothing had happened."""
    failed = said(ask(ledger, command("o-1"), Behaviour(fail=1)))
    assert failed[0] == "reservation.failed"
    assert failed[1]["retryable"] is True
    assert "reservation.failed" not in ledger.answers()
    assert said(ask(ledger, command("o-1", attempt=2)))[0] == "reservation.reserved"
    assert ledger.kept() == PIECES


@pytest.mark.parametrize(
    ("record", "behaviour"),
    ((command("o-1"), Behaviour(fail=1)), (command("o-1", data={"lines": []}), Behaviour())),
    ids=("by chance", "for wrong data"),
)
def test_a_copy_of_what_failed_gets_the_same_failure(ledger: Ledger, record: Record, behaviour: Behaviour) -> None:
    """To the byte, though it comes later, and to a service that was started again with better manners."""
    failed = ask(ledger, record, behaviour)
    assert said(failed)[0] == "reservation.failed"
    assert ask(ledger, record, at_ms=AT + 60_000) == failed


def test_a_failure_may_come_after_the_work(ledger: Ledger) -> None:
    """About half of the failed attempts have worked, as after a lost connection, so that an undo is needed."""
    orders = [f"o-{number}" for number in range(200)]
    behaviour = Behaviour(fail_for_good=1)
    replies = [said(ask(ledger, command(order, "payment"), behaviour)) for order in orders]
    assert {(type, value["retryable"]) for type, value in replies} == {("payment.failed", False)}
    assert 60 < ledger.kept()["EUR"] / 520 < 140
    for order in orders:
        ask(ledger, command(order, "payment", "undo"), behaviour)
    assert ledger.kept() == {}


def test_refusals_by_chance_are_kept(ledger: Ledger) -> None:
    """An order that was refused stays refused when the service is started again with better manners."""
    first = said(ask(ledger, command("o-1"), Behaviour(refuse=1)))
    assert first[0] == "reservation.rejected"
    assert said(ask(ledger, command("o-1", attempt=2))) == first


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
def test_wrong_data_fail_for_good(ledger: Ledger, record: Record, reason: str) -> None:
    """What no attempt can carry out is said so, and leaves nothing in the books."""
    type, value = said(ask(ledger, record))
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
    """A foreign type or idempotency key is answered, and nothing is done."""
    record = command("o-1")
    headers = [item for item in record.headers if item[0] != name]
    type, value = said(ask(ledger, Record(record.key, record.value, [*headers, (name, text)])))
    assert (type, value["retryable"]) == ("reservation.failed", False)
    assert ledger.answers() == {}


@pytest.mark.parametrize("lost", ("key", "ce_id", "order_id", "value"))
def test_a_record_that_names_nobody_is_bad(ledger: Ledger, lost: str) -> None:
    """Where it isn't clear whom to answer, nobody is answered."""
    record = command("o-1")
    key = b"o-2" if lost == "key" else record.key
    value = b"{}" if lost == "order_id" else b"no" if lost == "value" else record.value
    headers = [item for item in record.headers if item[0] != lost]
    with pytest.raises(Bad), ledger.transaction():
        Desk(RESERVATION, Behaviour(), ledger).answer(key, value, headers, AT)


@pytest.mark.parametrize("step", ("shipping", "notice"))
def test_what_is_never_undone_is_not_undone_on_demand(ledger: Ledger, step: str) -> None:
    """An undo is no command that the service knows: it fails for good, and what was done stands."""
    ask(ledger, command("o-1", step))
    kept = ledger.kept()
    record = command("o-1", step)
    undo = [("ce_id", f"o-1:{step}:undo:1".encode()), ("ce_idempotencykey", f"o-1:{step}:undo".encode())]
    undo += [("ce_type", f"{step}.undo".encode())]
    given = [item for item in record.headers if item[0] not in dict(undo)]
    type, value = said(ask(ledger, Record(record.key, record.value, [*given, *undo])))
    assert (type, value["retryable"]) == (f"{step}.failed", False)
    assert value["reason"] == f"the {step} service knows no commands of this type"
    assert ledger.kept() == kept


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_structured_mode_is_read_too(ledger: Ledger, service: Service) -> None:
    """A command that has its envelope in the value gets the same answer."""
    record = command("o-1", service.name)
    said_of_it = {name.removeprefix("ce_"): (text or b"").decode() for name, text in record.headers}
    whole = orjson.dumps({**said_of_it, "data": orjson.loads(record.value)})
    structured = Record(record.key, whole, [("content-type", b"application/cloudevents+json; charset=utf-8")])
    with ledger.transaction():
        reply = Desk(service, Behaviour(), ledger).answer(structured.key, structured.value, structured.headers, AT)
    assert said(reply)[0] == service.done
    assert header(reply, "ce_causationid") == record.id
