"""A recording can be kept as a file, and checked from it by the command."""

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from app.audit.archive import lines, load, parse, save
from app.audit.cli import app
from app.audit.recording import Record, Recording, RecordingError, Span
from tests.audit.mutation import without
from tests.audit.runs import good_run
from tests.audit.sagas import BOTH, PACKED_ORDER
from tests.audit.stage import Play

GOOD = good_run()
PLAYED = Play(1, (BOTH,)).perform(acts=100)

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


def run(*arguments: object) -> Result:
    """Runs the command, with no setting of the caller's."""
    nothing = dict.fromkeys(("SAGA_KAFKA_BOOTSTRAP", "SAGA_TOPIC_PREFIX", "SAGA_GROUP"))
    return CliRunner().invoke(app, ["check", *map(str, arguments)], env=nothing, obj=BOTH)


def silent(recording: Recording) -> Recording:
    """An outcome is missing."""
    return without(recording, next(record for record in recording.records if record.topic == "order.outcomes"))


@given(st.lists(any_record, max_size=5), st.integers(0, 2**62))
def test_a_recording_survives_the_file(records: list[Record], offset: int) -> None:
    """Every byte comes back, and a missing value is not an empty one."""
    place = ("order.requests", 3)
    recording = Recording("p.", 4, tuple(records), {place: offset}, {place: Span(0, offset, offset + 1)}, offset)
    assert parse(lines(recording)) == recording


def test_a_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """It holds customers' data."""
    save(GOOD, tmp_path / "run.ndjson")
    assert stat.S_IMODE((tmp_path / "run.ndjson").stat().st_mode) == 0o600
    assert load(tmp_path / "run.ndjson") == GOOD


@pytest.mark.parametrize(
    ("content", "told"),
    (
        (b"", "empty"),
        (b"{}\n", "Line 1 is not a line of a recording (KeyError)"),
        (b'{"format":"other"}\n', "no recording of format"),
        (next(lines(GOOD)) + b"{\n", "Line 2 is not a line of a recording (JSONDecodeError)"),
        (next(lines(GOOD)) + b'{"topic":1}\n', "Line 2 is not a line of a recording (KeyError)"),
    ),
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    """The error names the line, and shows nothing of it."""
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(RecordingError) as error:
        load(file)
    assert told in str(error.value)


def test_the_command_passes_a_good_recording(tmp_path: Path) -> None:
    """Exit code 0, and the verdict as the last line."""
    save(PLAYED, tmp_path / "good")
    result = run("--file", tmp_path / "good")
    assert result.exit_code == 0
    assert result.stdout.endswith("All 21 invariants hold.\n")


def test_the_command_fails_a_wrong_recording(tmp_path: Path) -> None:
    """Exit code 1, and the broken invariant."""
    save(silent(PLAYED), tmp_path / "wrong")
    result = run("--file", tmp_path / "wrong")
    assert result.exit_code == 1
    assert "INV-24 is broken 1 times" in result.stdout


def test_the_command_judges_a_run_under_way(tmp_path: Path) -> None:
    """With --running, what is missing may still come."""
    save(silent(PLAYED), tmp_path / "wrong")
    assert run("--file", tmp_path / "wrong", "--running").exit_code == 0


def test_the_command_keeps_what_it_read(tmp_path: Path) -> None:
    """--save writes the recording that was checked."""
    save(PLAYED, tmp_path / "good")
    assert run("--file", tmp_path / "good", "--save", tmp_path / "kept").exit_code == 0
    assert load(tmp_path / "kept") == PLAYED


def test_the_command_says_what_it_needs(tmp_path: Path) -> None:
    """Without a Kafka or a file, or with one that isn't there: exit code 2 and one sentence."""
    result = run()
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Name a Kafka with --bootstrap")
    missing = run("--file", tmp_path / "none")
    assert missing.exit_code == 2
    assert "cannot be read" in missing.stderr


def test_a_recording_of_an_older_release_can_be_read() -> None:
    """It does not say when it was taken."""
    head, *rest = lines(GOOD)
    assert parse([head.replace(b'"taken_ms":0,', b""), *rest]) == GOOD


def test_without_a_saga_the_command_is_built_wrong(tmp_path: Path) -> None:
    """The composition root must hand over the versions; a single definition stands for its only one."""
    save(PLAYED, tmp_path / "good")
    arguments = ["check", "--file", str(tmp_path / "good")]
    assert isinstance(CliRunner().invoke(app, arguments).exception, LookupError)
    assert CliRunner().invoke(app, arguments, obj=PACKED_ORDER).exit_code == 0  # all began by the latest version


def test_a_kafka_that_is_not_there_is_told() -> None:
    """Exit code 2 and one sentence when no broker answers."""
    result = run("--bootstrap", "127.0.0.1:1", "--timeout", "1")
    assert result.exit_code == 2
    assert "Kafka cannot be read" in result.stderr
