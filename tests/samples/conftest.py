"""A ledger and topics of each test's own, and logging restored after it."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.samples.participant.ledger import Ledger
from tests.samples.wire import Wire


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger."""
    with closing(Ledger(tmp_path / "ledger.sqlite")) as empty:
        yield empty


@pytest.fixture
def wire(kafka_bootstrap: str, topic_prefix: str) -> Wire:
    """Topics of the test's own on a real Kafka."""
    return Wire(kafka_bootstrap, topic_prefix)


@pytest.fixture(autouse=True)
def logging_restored() -> Iterator[None]:
    """Undoes the logging set-up of a command under test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)
