"""The commands where no Kafka is needed."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.samples import files
from app.samples.cli import app
from app.samples.orders import Shares, placements


def test_orders_are_written_to_standard_output() -> None:
    """One a line, those that the library gives for the same seed and shares."""
    words = "orders generate --count 50 --seed 4 --declined 0.1 --sold-out 0.2 --nowhere 0.15 --duplicates 0.3".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    given = placements(50, 4, Shares(declined=0.1, sold_out=0.2, duplicates=0.3, nowhere=0.15))
    assert result.stdout_bytes == b"".join(map(files.line, given))


def test_the_room_runs_by_itself() -> None:
    """`python -m app.samples` knows all its commands."""
    command = [sys.executable, "-m", "app.samples", "--help"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [word for word in ("place", "cancel", "serve", "orders") if word not in said] == []


@pytest.mark.parametrize(
    ("words", "said"),
    (
        ("orders generate --declined 2", "error: declined is a share: give a number from 0 to 1\n"),
        ("serve payment --fail 2", "error: fail is a share: give a number from 0 to 1, not 2.0\n"),
        ("serve payment --delay 20-5", "error: delay_ms needs two times from 0 to 60000 ms, the shorter one first\n"),
        (
            "serve payment --away 40-10",
            "error: an outage needs two times in seconds after the start, the earlier one first\n",
        ),
        ("place missing.ndjson", "error: missing.ndjson can't be read: No such file or directory\n"),
    ),
)
def test_what_cannot_be_is_said_in_one_sentence(words: str, said: str) -> None:
    """Exit code 1, and nothing but the sentence."""
    result = CliRunner().invoke(app, words.split())
    assert (result.exit_code, result.stderr) == (1, said)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    (
        ("--delay", "soon", "give milliseconds, as 20 or 5-20, not soon"),
        ("--away", "soon", "give seconds after the start, as 10-40, not soon"),
        ("--broken", "10", "give seconds after the start, as 10-40, not 10"),
    ),
)
def test_a_time_that_is_none_is_refused(option: str, value: str, said: str) -> None:
    """As wrong usage, with what is expected."""
    result = CliRunner().invoke(app, ["serve", "payment", option, value])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    ("words", "said"),
    (
        ("notice --refuse 0.5", "refuse must be 0 for the notice service: it never refuses"),
        (
            "shipping --fail-undo-for-good 1",
            "fail_undo_for_good must be 0 for the shipping service: it undoes nothing",
        ),
    ),
)
def test_a_service_is_not_asked_for_what_it_never_does(tmp_path: Path, words: str, said: str) -> None:
    """A share of answers that it doesn't have is named."""
    result = CliRunner().invoke(app, ["serve", *words.split(), "--ledger", str(tmp_path / "books")])
    assert (result.exit_code, result.stderr) == (1, f"error: {said}\n")


def test_a_wrong_setting_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's settings are checked as everywhere."""
    monkeypatch.setenv("SAGA_TOPIC_PREFIX", "no spaces please")
    result = CliRunner().invoke(app, ["cancel", "o-1", "--reason", "x"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: SAGA_TOPIC_PREFIX is wrong")


def test_a_file_that_is_no_ledger_is_said(tmp_path: Path) -> None:
    """It is left as it was."""
    file = tmp_path / "books"
    file.write_text("my own notes, long enough to be taken for a database" * 20, "utf-8")
    result = CliRunner().invoke(app, ["serve", "payment", "--ledger", str(file)])
    assert result.exit_code == 1
    assert "can't be used as a ledger (file is not a database): name another file" in result.stderr
    assert file.read_text("utf-8").startswith("my own notes")


@pytest.mark.slow
def test_a_missing_kafka_is_said() -> None:
    """After ten seconds without an answer, with what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        result = CliRunner().invoke(app, ["cancel", "o-1", "--reason", "x", "--bootstrap", address])
    assert result.exit_code == 1
    assert result.stderr == f"error: no Kafka answers at {address}: start one there, or set another with --bootstrap\n"
