"""Inputs that are read again after the group's offsets were set back: the state of sagas does not change."""

from tests.engine.test_processor import FakeKeyState, Order, event, order_processor, topics


def place_and_reply(order: Order) -> list[str]:
    """Places an order and sends its replies; returns the topics of all output records."""
    outputs = order.place()
    outputs += order.reply("reservation.reserved", f"{order.id}:reservation:do:1", reservation_id="r")
    outputs += order.reply("payment.charged", f"{order.id}:payment:do:1", payment_id="p")
    return topics(outputs)


def test_replayed_inputs_change_nothing() -> None:
    """The order is a duplicate, its replies are recorded as ignored: no command, no outcome, the same state."""
    order = Order("o-1", FakeKeyState(), order_processor())
    assert place_and_reply(order).count("payment.commands") == 1
    before = order.state
    outputs = order.place()
    outputs += order.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    outputs += order.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert [event(out)["events"][0]["type"] for out in outputs] == ["saga.reply.ignored"] * 2
    assert order.state == before
