"""Every hostile record ends under its code when it is read as the orchestrator reads."""

import pytest

from app.samples.hostile import Hostile, hostile
from app.samples.orders import placements
from app.wire.bad import Bad
from app.wire.reader import Reader
from topologies.order import ORDER

ALL = {each.flaw: each for each in hostile(500, seed=3)}


@pytest.mark.parametrize("record", ALL.values(), ids=ALL)
def test_a_hostile_record_is_found(record: Hostile) -> None:
    """It is bad in just the way that it says; a cancel can only be judged by who knows the orders."""
    read = Reader(ORDER).read
    if record.code == "unknown_order":
        assert read("order.requests", record.key, record.value, record.headers).type == "order.cancel"
        return
    with pytest.raises(Bad) as found:
        read("order.requests", record.key, record.value, record.headers)
    assert found.value.code == record.code


def test_there_are_many_kinds() -> None:
    """All codes that a single record can have are there, and every kind is in turn."""
    assert {each.code for each in ALL.values()} == {
        "malformed", "too_large", "unknown_type", "invalid", "wrong_key", "unknown_order",
    }  # fmt: skip
    assert len({each.flaw for each in hostile(len(ALL), seed=9)}) == len(ALL) > 40


def test_hostile_records_leave_orders_alone() -> None:
    """None has the key of a generated order, and the same seed gives the same records."""
    keys = {each.key for each in hostile(200, seed=1)}
    assert not keys & {each.order["order_id"].encode() for each in placements(200, seed=1)}
    assert list(hostile(100, seed=1)) == list(hostile(100, seed=1))
