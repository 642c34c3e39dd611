"""Topics of the test's own."""

import pytest

from tests.operators.desk import Desk


@pytest.fixture
def desk(kafka_bootstrap: str, topic_prefix: str) -> Desk:
    """The topics that operators' commands need, on a real Kafka."""
    return Desk(kafka_bootstrap, topic_prefix)


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command under test gets its settings from the test alone, and the login's name too."""
    for name in ("SAGA_KAFKA_BOOTSTRAP", "SAGA_TOPIC_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "olga")
