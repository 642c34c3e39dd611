"""Times on the wire."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.rfc3339 import rfc3339


@pytest.mark.parametrize(
    ("ms", "expected"),
    (
        (0, "1970-01-01T00:00:00.000Z"),
        (1, "1970-01-01T00:00:00.001Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (1_000, "1970-01-01T00:00:01.000Z"),
        (951_782_399_999, "2000-02-28T23:59:59.999Z"),
        (1_772_357_400_125, "2026-03-01T09:30:00.125Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ),
)
def test_a_time_is_utc_with_milliseconds(ms: int, expected: str) -> None:
    """Always three digits after the point, always Z; a time before 1970 still counts forwards."""
    assert rfc3339(ms) == expected


@given(st.integers(0, 253_402_300_799_999))
def test_a_time_is_read_back(ms: int) -> None:
    """Nothing is lost, and the text always has the same length."""
    text = rfc3339(ms)
    assert len(text) == 24
    assert (datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00:00Z")) / timedelta(
        milliseconds=1
    ) == ms
