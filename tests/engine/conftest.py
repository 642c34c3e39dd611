"""A sandbox on the real broker for each test that asks for one."""

from pathlib import Path

import pytest

from tests.engine.sandbox import Sandbox


@pytest.fixture
def sandbox(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Sandbox:
    """Topics, a group and a folder of the test's own; no topic exists yet."""
    return Sandbox(kafka_bootstrap, topic_prefix, tmp_path)


@pytest.fixture
def sandbox_without_broker(tmp_path: Path) -> Sandbox:
    """A sandbox at an address that nobody answers."""
    return Sandbox("127.0.0.1:1", "nowhere.", tmp_path)
