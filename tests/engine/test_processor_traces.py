"""The processor with SAGA_TRACES: every message names its own span in the trace of its saga."""

from app.engine.processor import SagaProcessor
from app.saga.definition import with_policy
from app.saga.versions import Versions
from app.wire.trace_context import span_id, trace_id
from app.wire.writer import OutputRecord
from tests.broker.pods import said
from tests.engine.test_processor import NOW, OTHER, PARENT, PARTITIONS, FakeKeyState, Order, place_traced
from topologies.order import ORDER


def tracing_order() -> Order:
    """An order that is not placed yet; steps have 2 attempts and a timeout of 1 s."""
    versions = Versions((with_policy(ORDER, 1000, 2),))
    return Order("o-1", FakeKeyState(), SagaProcessor(versions, PARTITIONS, traces=True))


def parents(outs: list[OutputRecord]) -> dict[str, list[str]]:
    """By `ce_id`, each `traceparent` of a message."""
    return {
        (dict(out.headers)["ce_id"] or b"").decode(): [
            (value or b"").decode() for name, value in out.headers if name == "traceparent"
        ]
        for out in outs
        if out.topic != "saga.events"
    }


def whole_life(order: Order, placed: list[OutputRecord]) -> list[OutputRecord]:
    """All that an order sends that times out, is reserved, and is declined; a reply has a trace of its own."""
    outs = [*placed, *order.fire_timer(NOW + 1000)]
    command, reply = ("ce_causationid", b"o-1:reservation:do:2"), said("reservation.reserved", "r-1")
    value = b'{"order_id":"o-1","reservation_id":"r"}'
    outs += order.receive("reservation.replies", order.record(value, *reply, command, ("traceparent", OTHER)))
    outs += order.reply("payment.declined", "o-1:payment:do:1", reason="no")
    return [*outs, *order.reply("reservation.released", "o-1:reservation:undo:1")]


def test_every_message_has_its_own_span_in_one_trace() -> None:
    """Commands of all attempts, and the outcome: of an order without a trace, and of one with a trace."""
    for traced in (False, True):
        order = tracing_order()
        found = parents(whole_life(order, place_traced(order) if traced else order.place()))
        life = PARENT.decode()[3:35] if traced else trace_id("o-1", NOW, None)
        assert len(found) == 5
        assert found == {id: [f"00-{life}-{span_id(id)}-01"] for id in found}


def test_after_its_end_a_saga_has_forgotten_its_trace() -> None:
    """A refused cancel is answered in the trace of the cancel."""
    order = tracing_order()
    whole_life(order, place_traced(order))
    cancel = (*said("order.cancel", "c-1"), ("traceparent", OTHER))
    value = b'{"order_id":"o-1","reason":"late"}'
    outs = order.receive("order.requests", order.record(value, *cancel), NOW + 9000)
    assert list(parents(outs).values()) == [[OTHER.decode()]]
