"""Standard error of `saga run`: JSON where a program reads it, to the last line; a sentence where a person does."""

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

from app.engine.process_exit import NEEDS_OPERATOR, NEEDS_RESTART
from app.ops.settings import Settings

_NAMES = frozenset(f"SAGA_{name.upper()}" for name in Settings.model_fields)
_PATCHED = """
import sys
from threading import Thread
from app import runner
from app.engine.errors import NeedsRestart
from topologies.__main__ import main

def fail(text="canary"):
    raise {error}

def fail_on_a_thread(*_):
    thread = Thread(target=fail)
    thread.start()
    thread.join()

runner.run = lambda *_: {body}
sys.argv = ["saga", "run"]
main()
"""


def environment(**settings: object) -> dict[str, str]:
    """These settings, and none of the environment that the tests run in."""
    others = {name: value for name, value in os.environ.items() if name not in _NAMES}
    return {**others, **{f"SAGA_{name.upper()}": str(value) for name, value in settings.items()}}


def saga(*words: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs the `saga` command with standard error in a pipe."""
    return run([sys.executable, "-m", "topologies", *words], **settings)


def pod(body: str, error: str = "ValueError(f'{text} is no number')") -> subprocess.CompletedProcess[str]:
    """`saga run`, whose pod does nothing but evaluate `body`."""
    return run([sys.executable, "-c", _PATCHED.format(body=body, error=error)])


def run(command: list[str], **settings: object) -> subprocess.CompletedProcess[str]:
    """Runs a command with standard error in a pipe."""
    return subprocess.run(command, env=environment(**settings), capture_output=True, text=True, check=False, timeout=60)


def json_lines(ended: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Every line of standard error, each of which must be a JSON object."""
    lines = [json.loads(line) for line in ended.stderr.splitlines()]
    assert lines
    assert all(type(line) is dict for line in lines)
    return lines


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    (
        ("open_transactions", 0, "SAGA_OPEN_TRANSACTIONS is wrong: "),
        ("log_level", "LOUD", "SAGA_LOG_LEVEL is wrong: "),
        ("definition", "orders", "SAGA_DEFINITION is wrong: "),
    ),
)
def test_a_wrong_setting_is_the_last_json_line(setting: str, value: object, sentence: str) -> None:
    """Found before the log level is known, or before the command is; the line carries the exit code."""
    ended = saga("run", **{setting: value})
    last = json_lines(ended)[-1]
    assert last["event"].startswith(sentence)
    assert (last["level"], last["exit_code"], ended.returncode) == ("error", NEEDS_OPERATOR, NEEDS_OPERATOR)


@pytest.mark.parametrize("level", ("DEBUG", "ERROR"))
def test_a_pod_that_must_be_restarted_says_so_in_its_last_json_line(level: str) -> None:
    """At every log level, and with the exit code that means: start it again."""
    ended = run(
        [sys.executable, "-c", _PATCHED.format(body="fail()", error="NeedsRestart('the broker is gone')")],
        log_level=level,
    )
    last = json_lines(ended)[-1]
    assert (last["event"], last["level"]) == ("the broker is gone", "error")
    assert (last["exit_code"], ended.returncode) == (NEEDS_RESTART, NEEDS_RESTART)


def test_an_unexpected_error_is_one_json_line() -> None:
    """With the class of the error and the frames that it passed, without its text, which may repeat a record."""
    ended = pod("fail()")
    (line,) = json_lines(ended)
    assert (line["event"], line["level"]) == ("unexpected error", "critical")
    assert (line["exit_code"], ended.returncode) == (1, 1)
    assert "in fail\n" in line["exception"]
    assert line["exception"].endswith("ValueError\n")
    assert "canary" not in ended.stderr


def test_an_unexpected_error_on_a_thread_is_one_json_line() -> None:
    """It ends the thread alone, so that the line names no exit code."""
    ended = pod("fail_on_a_thread()")
    (line,) = json_lines(ended)
    assert (line["event"], line["level"]) == ("unexpected error", "critical")
    assert ("exit_code" in line, ended.returncode) == (False, 0)
    assert "in fail\n" in line["exception"]
    assert "canary" not in ended.stderr


def test_a_warning_is_a_json_line() -> None:
    """Those of libraries too: Python itself would write them as plain text."""
    (line,) = json_lines(pod("__import__('warnings').warn('this is old', stacklevel=1)"))
    assert line["level"] == "warning"
    assert "this is old" in line["event"]


@pytest.mark.parametrize("words", (("settings",), ("topics", "check")))
def test_a_short_command_ends_with_a_plain_sentence(words: tuple[str, ...]) -> None:
    """Whoever typed it reads the answer, also through a pipe."""
    ended = saga(*words, open_transactions=0)
    (line,) = ended.stderr.splitlines()
    assert line.startswith("saga: SAGA_OPEN_TRANSACTIONS is wrong: ")
    assert ended.returncode == NEEDS_OPERATOR


def test_a_terminal_gets_a_plain_sentence() -> None:
    """Where a person watches `saga run`, its last line is no JSON."""
    reading, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "topologies", "run"], env=environment(open_transactions=0), stderr=terminal
    )
    os.close(terminal)
    try:
        assert process.wait(60) == NEEDS_OPERATOR
        shown = os.read(reading, 10_000).decode()
    finally:
        process.kill()
        os.close(reading)
    assert shown.startswith("saga: SAGA_OPEN_TRANSACTIONS is wrong: ")
