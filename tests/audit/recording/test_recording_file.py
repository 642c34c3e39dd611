"""A recording is saved to a file and loaded from it without a difference."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.audit.recording.recording import Record, Recording, RecordingError, Span
from app.audit.recording.recording_file import lines, load, parse, save
from tests.audit.runs import good_run

GOOD = good_run()

optional_bytes = st.none() | st.binary(max_size=20)
any_record = st.builds(
    Record,
    st.text(max_size=9),
    st.integers(0, 9),
    st.integers(0, 2**62),
    st.integers(-1, 2**62),
    optional_bytes,
    optional_bytes,
    st.lists(st.tuples(st.text(max_size=9), optional_bytes), max_size=3).map(tuple),
)


@given(st.lists(any_record, max_size=5), st.integers(0, 2**62))
def test_a_recording_survives_the_file(records: list[Record], offset: int) -> None:
    """Every byte comes back, and a missing value is not an empty one."""
    partition = ("order.requests", 3)
    spans = {partition: Span(0, offset, offset + 1)}
    recording = Recording("p.", 4, tuple(records), {partition: offset}, spans, offset)
    assert parse(lines(recording)) == recording


def test_a_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """The file holds customer data, so its mode is 0600."""
    save(GOOD, tmp_path / "run.ndjson")
    assert stat.S_IMODE((tmp_path / "run.ndjson").stat().st_mode) == 0o600
    assert load(tmp_path / "run.ndjson") == GOOD


@pytest.mark.parametrize(
    ("content", "sentence"),
    (
        (b"", "empty"),
        (b"{}\n", "Line 1 is not a line of a recording (KeyError)"),
        (b'{"format":"other"}\n', "not a recording of format"),
        (next(lines(GOOD)) + b"{\n", "Line 2 is not a line of a recording (JSONDecodeError)"),
        (next(lines(GOOD)) + b'{"topic":1}\n', "Line 2 is not a line of a recording (KeyError)"),
    ),
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """The error names the line, and shows none of its content."""
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(RecordingError) as error:
        load(file)
    assert sentence in str(error.value)


def test_a_recording_without_its_time_can_be_read() -> None:
    """The header of an older release has no `taken_ms`."""
    head, *rest = lines(GOOD)
    assert parse([head.replace(b'"taken_ms":0,', b""), *rest]) == GOOD
