"""Replies wait for their delay, and offsets are committed only up to the first unanswered command."""

import pytest

from app.samples.participant.answered_offsets import AnsweredOffsets
from app.samples.participant.reply_outbox import Outbox, Reply


def reply(delay_ms: int) -> Reply:
    """A reply with this delay."""
    return Reply("", b"", b"", [], delay_ms=delay_ms)


def test_replies_leave_when_they_are_due() -> None:
    """The earliest first, in whatever order they came."""
    outbox = Outbox()
    for offset, delay in enumerate((300, 0, 200)):
        outbox.put(10.0, (0, offset), reply(delay))
    assert [command for command, _ in outbox.due(10.0)] == [(0, 1)]
    assert outbox.wait(10.0, longest=5) == pytest.approx(0.2)
    assert outbox.wait(10.0, longest=0.1) == 0.1
    assert [command for command, _ in outbox.due(10.3)] == [(0, 2), (0, 0)]
    assert len(outbox) == 0
    assert outbox.wait(10.3, longest=0.1) == 0.1


def test_an_overdue_reply_is_not_waited_for() -> None:
    """The wait is never negative."""
    outbox = Outbox()
    outbox.put(10.0, (0, 0), reply(5))
    assert outbox.wait(11.0, longest=1) == 0


def test_a_position_stops_at_the_first_unanswered_command() -> None:
    """Replies in another order than the commands don't move the position over a gap."""
    positions = AnsweredOffsets()
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


def test_each_partition_has_its_own_position() -> None:
    """An unanswered command holds back its own partition only."""
    positions = AnsweredOffsets()
    positions.read((0, 1))
    positions.read((1, 7))
    positions.answered((1, 7))
    assert positions.moved() == {0: 1, 1: 8}


def test_revoked_partitions_are_forgotten() -> None:
    """A reply that is sent after the revocation of its partition moves no position."""
    positions = AnsweredOffsets()
    positions.read((0, 1))
    positions.forget()
    positions.answered((0, 1))
    assert positions.moved() == {}
