"""A place on the real broker for each test that asks for one."""

from pathlib import Path

import pytest

from tests.engine.owner import Place


@pytest.fixture
def place(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Place:
    """Names of the test's own; no topic is there yet."""
    return Place(kafka_bootstrap, topic_prefix, tmp_path)


@pytest.fixture
def place_without_broker(tmp_path: Path) -> Place:
    """An address at which nobody answers."""
    return Place("127.0.0.1:1", "nowhere.", tmp_path)
