"""A failed process ends even if closing its clients hangs."""

import subprocess
import sys

import pytest

from app.engine.process_exit import NEEDS_OPERATOR, NEEDS_RESTART

SCRIPT = """
import contextlib, sys, time
from app.engine import application
from app.engine.application import SagaApplication
from app.engine.errors import NeedsOperator, NeedsRestart
from app.ops import logs

class Client:
    def __enter__(self): return self
    def __exit__(self, *_): time.sleep(60)

class PartitionAssignmentError(Exception):
    pass

logs.configure("INFO")
application._CLOSING_SECONDS = 0.2
app = SagaApplication.__new__(SagaApplication)
app.stop = lambda fail: None
with contextlib.ExitStack() as stack:
    stack.enter_context(Client())
    stack.push(app._exception_handler)
    {raises}
"""


def process_that_hangs(raises: str) -> subprocess.CompletedProcess[str]:
    """Runs a process that fails with this error, and whose client then hangs in its closing."""
    command = [sys.executable, "-c", SCRIPT.replace("{raises}", raises)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_an_unexpected_error_is_named_by_its_class_alone() -> None:
    """The exit code asks for a restart; the text of the error may hold data."""
    finished = process_that_hangs('raise RuntimeError("what a customer ordered")')
    assert finished.returncode == NEEDS_RESTART
    assert '"reason": "RuntimeError"' in finished.stderr
    assert "ordered" not in finished.stderr


@pytest.mark.parametrize(("error", "code"), (("NeedsOperator", NEEDS_OPERATOR), ("NeedsRestart", NEEDS_RESTART)))
def test_an_error_of_the_engine_keeps_its_sentence_and_its_exit_code(error: str, code: int) -> None:
    """Even if quixstreams has wrapped it, as it does with errors of a rebalance callback."""
    for raises in (
        f'raise {error}("make room there")',
        f'raise PartitionAssignmentError() from {error}("make room there")',
    ):
        finished = process_that_hangs(raises)
        assert finished.returncode == code
        assert '"reason": "make room there"' in finished.stderr
        assert f'"exit_code": {code}' in finished.stderr
