"""Books and topics of a test's own, and logging left as it was."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.samples.ledger import Ledger
from tests.samples.wire import Wire


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Empty books."""
    with closing(Ledger(tmp_path / "books.sqlite")) as books:
        yield books


@pytest.fixture
def wire(kafka_bootstrap: str, topic_prefix: str) -> Wire:
    """Topics of the test's own on a real Kafka."""
    return Wire(kafka_bootstrap, topic_prefix)


@pytest.fixture(autouse=True)
def logging_kept() -> Iterator[None]:
    """A command that sets up logging does so for its test alone."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
