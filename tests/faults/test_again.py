"""Inputs that come again because somebody set the group's offsets back: sagas do not change."""

from tests.engine.test_turns import Key, Memory, event, topics, turns


def a_life(key: Key) -> list[str]:
    """An order and its replies: the topics of all that they lead to."""
    outs = key.place()
    outs += key.reply("reservation.reserved", f"{key.id}:reservation:do:1", reservation_id="r")
    outs += key.reply("payment.charged", f"{key.id}:payment:do:1", payment_id="p")
    return topics(outs)


def test_what_was_decided_is_not_decided_again() -> None:
    """The order leads to nothing, its replies are ignored and recorded; no command, no outcome, the same state."""
    key = Key("o-1", Memory(), turns())
    assert a_life(key).count("payment.commands") == 1
    before = key.state
    outs = key.place()
    outs += key.reply("reservation.reserved", "o-1:reservation:do:1", reservation_id="r")
    outs += key.reply("payment.charged", "o-1:payment:do:1", payment_id="p")
    assert [event(out)["events"][0]["type"] for out in outs] == ["saga.reply.ignored"] * 2
    assert key.state == before
