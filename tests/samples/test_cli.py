"""The commands, as far as they need no Kafka."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.samples.cli import app
from app.samples.shop import order_files
from app.samples.shop.orders import OrderMix, placements


def test_orders_are_written_to_standard_output() -> None:
    """One per line, the same that `placements` gives for the seed and the shares."""
    words = "orders generate --count 50 --seed 4 --declined 0.1 --sold-out 0.2 --nowhere 0.15 --duplicates 0.3".split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    expected = placements(50, 4, OrderMix(declined=0.1, sold_out=0.2, duplicates=0.3, nowhere=0.15))
    assert result.stdout_bytes == b"".join(map(order_files.line, expected))


def test_the_package_runs_by_itself() -> None:
    """`python -m app.samples` has all commands of the samples."""
    command = [sys.executable, "-m", "app.samples", "--help"]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [word for word in ("place", "cancel", "serve", "orders") if word not in shown] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
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
def test_impossible_values_are_refused_in_one_sentence(words: str, sentence: str) -> None:
    """Exit code 1, and standard error has nothing but the sentence."""
    result = CliRunner().invoke(app, words.split())
    assert (result.exit_code, result.stderr) == (1, sentence)


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    (
        ("--delay", "soon", "give milliseconds, such as 20 or 5-20, not soon"),
        ("--away", "soon", "give seconds after the start, such as 10-40, not soon"),
        ("--broken", "10", "give seconds after the start, such as 10-40, not 10"),
    ),
)
def test_a_malformed_time_is_refused(option: str, value: str, sentence: str) -> None:
    """As a usage error that shows the expected form."""
    result = CliRunner().invoke(app, ["serve", "payment", option, value])
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.replace("│", "").split())


@pytest.mark.parametrize(
    ("words", "sentence"),
    (
        ("notice --refuse 0.5", "refuse must be 0 for the notice service: it never refuses"),
        (
            "shipping --fail-undo-for-good 1",
            "fail_undo_for_good must be 0 for the shipping service: it has no undo",
        ),
    ),
)
def test_a_fault_that_a_service_cannot_have_is_refused(tmp_path: Path, words: str, sentence: str) -> None:
    """The notice service never refuses, and the shipping service has no undo that could fail."""
    result = CliRunner().invoke(app, ["serve", *words.split(), "--ledger", str(tmp_path / "ledger")])
    assert (result.exit_code, result.stderr) == (1, f"error: {sentence}\n")


def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples read the same environment variables as a pod."""
    monkeypatch.setenv("SAGA_TOPIC_PREFIX", "no spaces please")
    result = CliRunner().invoke(app, ["cancel", "o-1", "--reason", "x"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: SAGA_TOPIC_PREFIX is wrong")


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path) -> None:
    """Its content stays as it is."""
    file = tmp_path / "ledger"
    file.write_text("my own notes, long enough to be taken for a database" * 20, "utf-8")
    result = CliRunner().invoke(app, ["serve", "payment", "--ledger", str(file)])
    assert result.exit_code == 1
    assert "can't be used as a ledger (file is not a database): name another file" in result.stderr
    assert file.read_text("utf-8").startswith("my own notes")


@pytest.mark.slow
def test_a_missing_kafka_is_named() -> None:
    """After ten seconds without an answer, in a sentence that says what to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        result = CliRunner().invoke(app, ["cancel", "o-1", "--reason", "x", "--bootstrap", address])
    assert result.exit_code == 1
    assert result.stderr == f"error: no Kafka answers at {address}: start one there, or set another with --bootstrap\n"
