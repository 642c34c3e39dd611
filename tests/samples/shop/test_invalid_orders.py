"""Every invalid record fails with its reason code when the orchestrator's reader reads it."""

import pytest

from app.samples.shop.invalid_orders import InvalidOrder, invalid_orders
from app.samples.shop.orders import placements
from app.wire.invalid_record import InvalidRecord
from app.wire.reader import Reader
from topologies.order import ORDER

ALL = {each.flaw: each for each in invalid_orders(500, seed=3)}


@pytest.mark.parametrize("record", ALL.values(), ids=ALL)
def test_an_invalid_record_has_its_reason_code(record: InvalidOrder) -> None:
    """The reader finds its flaw; only a cancel of an unknown order is valid on the wire."""
    read = Reader(ORDER).read
    if record.code == "unknown_order":
        assert read("order.requests", record.key, record.value, record.headers).type == "order.cancel"
        return
    with pytest.raises(InvalidRecord) as found:
        read("order.requests", record.key, record.value, record.headers)
    assert found.value.code == record.code


def test_there_are_many_kinds() -> None:
    """Every code that a single record can have occurs, and all kinds come in turn."""
    assert {each.code for each in ALL.values()} == {
        "malformed", "too_large", "unknown_type", "invalid", "wrong_key", "unknown_order",
    }  # fmt: skip
    assert len({each.flaw for each in invalid_orders(len(ALL), seed=9)}) == len(ALL) > 40


def test_invalid_records_have_keys_of_their_own() -> None:
    """None has the key of a generated order; the same seed gives the same records."""
    keys = {each.key for each in invalid_orders(200, seed=1)}
    assert not keys & {each.order["order_id"].encode() for each in placements(200, seed=1)}
    assert list(invalid_orders(100, seed=1)) == list(invalid_orders(100, seed=1))
