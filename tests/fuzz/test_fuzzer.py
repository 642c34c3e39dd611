"""The coverage-guided fuzzer: a short run, and proof that it finds a planted bug."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

RUNS = 1_000
LIMIT = 120.0  # seconds, on a computer that has much else to do


def run_fuzzer(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the fuzzer."""
    command = [sys.executable, "-m", "tests.fuzz", *map(str, arguments), "--crashes", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)


@pytest.fixture(autouse=True)
def requires_atheris() -> None:
    """Skips the test without atheris."""
    pytest.importorskip("atheris", reason="atheris comes for Linux on x86-64 only")


def test_a_short_run_breaks_no_rule(tmp_path: Path) -> None:
    """A thousand mutated records break no rule."""
    run = run_fuzzer(tmp_path, "--runs", RUNS, "--seed", 1, "--seconds", 0)
    assert run.returncode == 0, run.stderr[-3000:]
    assert f"Done {RUNS} runs" in run.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_planted_bug_is_found(tmp_path: Path) -> None:
    """The crashing input is in a file that reproduces the bug; without the bug, the same input breaks no rule."""
    run = run_fuzzer(tmp_path, "--runs", 30 * RUNS, "--seed", 1, "--seconds", 0, "--plant")
    assert run.returncode != 0
    assert "ZeroDivisionError: planted" in run.stdout + run.stderr
    (file,) = tmp_path.iterdir()
    assert re.search(rf"--replay {re.escape(str(file))} --plant", run.stderr)
    assert run_fuzzer(tmp_path, "--replay", file, "--plant").returncode != 0
    assert "no rule was broken" in run_fuzzer(tmp_path, "--replay", file).stdout
