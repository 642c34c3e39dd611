"""Topics of each test's own, and none of the environment's settings."""

import pytest

from tests.operators.fake_orchestrator import FakeOrchestrator


@pytest.fixture
def orchestrator(kafka_bootstrap: str, topic_prefix: str) -> FakeOrchestrator:
    """The orchestrator's side of the topics that operators' commands use, on a real Kafka."""
    return FakeOrchestrator(kafka_bootstrap, topic_prefix)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Removes the environment's settings, and sets the login name to olga."""
    for name in ("SAGA_KAFKA_BOOTSTRAP", "SAGA_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "olga")
