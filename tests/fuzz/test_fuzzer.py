"""The coverage-guided fuzzer: a short run of it, and the proof that it finds what is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 1_000
LIMIT = 120.0  # seconds, on a computer that has much else to do


def fuzz(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A run of the fuzzer."""
    command = [sys.executable, "-m", "tests.fuzz", *map(str, arguments), "--crashes", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.fixture(autouse=True)
def _where_there_is_one() -> None:
    pytest.importorskip("atheris", reason="atheris comes for Linux on x86-64 only")


def test_nothing_is_found(tmp_path: Path) -> None:
    """So many records, changed by the code that they reach, break no law."""
    run = fuzz(tmp_path, "--runs", RUNS, "--seed", 1, "--seconds", 0)
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"Done {RUNS} runs" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_bug_that_no_good_message_meets_is_found(tmp_path: Path) -> None:
    """It is kept in a file that shows it again; to the product itself that record is one like any other."""
    run = fuzz(tmp_path, "--runs", 30 * RUNS, "--seed", 1, "--seconds", 0, "--plant")
    assert run.returncode != 0
    assert "ZeroDivisionError: planted" in run.stdout + run.stderr
    (file,) = tmp_path.iterdir()
    assert re.search(rf"--replay {re.escape(str(file))} --plant", run.stderr)
    assert fuzz(tmp_path, "--replay", file, "--plant").returncode != 0
    assert "nothing is wrong" in fuzz(tmp_path, "--replay", file).stdout
