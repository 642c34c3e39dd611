"""Replies wait for their time, and a command counts as read only when all before it are answered."""

import pytest

from app.samples.positions import Positions
from app.samples.replies import Outbox, Reply


def reply(delay_ms: int) -> Reply:
    """A reply that comes so late."""
    return Reply("", b"", b"", [], delay_ms=delay_ms)


def test_replies_leave_when_they_are_due() -> None:
    """The earliest first, however they came in."""
    outbox = Outbox()
    for offset, delay in enumerate((300, 0, 200)):
        outbox.put(10.0, (0, offset), reply(delay))
    assert [place for place, _ in outbox.due(10.0)] == [(0, 1)]
    assert outbox.wait(10.0, longest=5) == pytest.approx(0.2)
    assert outbox.wait(10.0, longest=0.1) == 0.1
    assert [place for place, _ in outbox.due(10.3)] == [(0, 2), (0, 0)]
    assert len(outbox) == 0
    assert outbox.wait(10.3, longest=0.1) == 0.1


def test_an_overdue_reply_is_not_waited_for() -> None:
    """The wait is never negative."""
    outbox = Outbox()
    outbox.put(10.0, (0, 0), reply(5))
    assert outbox.wait(11.0, longest=1) == 0


def test_a_position_stops_before_the_first_open_command() -> None:
    """Answers that come in another order than the commands don't carry the position over a gap."""
    positions = Positions()
    for offset in (5, 6, 9):
        positions.read((0, offset))
    assert positions.moved() == {0: 5}
    positions.answered((0, 6))
    assert positions.moved() == {}
    positions.answered((0, 5))
    assert positions.moved() == {0: 9}
    positions.answered((0, 9))
    assert positions.moved() == {0: 10}
    assert positions.moved() == {}


def test_partitions_do_not_wait_for_each_other() -> None:
    """Each has its own position."""
    positions = Positions()
    positions.read((0, 1))
    positions.read((1, 7))
    positions.answered((1, 7))
    assert positions.moved() == {0: 1, 1: 8}


def test_what_was_given_away_is_forgotten() -> None:
    """An answer that comes after its partition went to somebody else moves nothing."""
    positions = Positions()
    positions.read((0, 1))
    positions.forget()
    positions.answered((0, 1))
    assert positions.moved() == {}
