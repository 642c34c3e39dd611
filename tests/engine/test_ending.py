"""A process that must end does, whatever hangs."""

import subprocess
import sys

from app.cli import ENDED

HANGS = """
import contextlib, logging, sys, time
from app.engine.application import SagaApplication
from app.engine import application, ending

class Client:
    def __enter__(self): return self
    def __exit__(self, *_): time.sleep(60)

logging.basicConfig(stream=sys.stderr)
application._CLOSING_SECONDS = 0.2
app = SagaApplication.__new__(SagaApplication)
app.stop = lambda fail: None
with contextlib.ExitStack() as stack:
    stack.enter_context(Client())
    stack.push(app._exception_handler)
    raise RuntimeError("what a customer ordered")
"""


def test_a_client_that_hangs_while_it_is_closed_does_not_keep_a_failed_process() -> None:
    """It ends with the code that says: start it again; why is told by the kind of error alone."""
    ended = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == ENDED
    assert "closing takes too long: ended without it" in ended.stderr
    assert "ordered" not in ended.stderr
