"""Settings from the environment, each checked before anything starts."""

import re
import socket
from collections.abc import Iterator

import pytest

from app import runner
from app.ops.settings import Settings, WrongSetting, load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Removes all settings from the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGA_{name.upper()}", raising=False)
    return iter(())


def test_all_settings_have_defaults() -> None:
    """The defaults are valid, and the instance is named after the host."""
    settings = load()
    assert settings.instance_id == socket.gethostname()
    assert settings.group_id == "saga-orchestrator"


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is read from SAGA_ and its name in capitals."""
    monkeypatch.setenv("SAGA_TOPIC_PREFIX", "test.")
    monkeypatch.setenv("SAGA_OPEN_TRANSACTIONS", "3")
    settings = load()
    assert (settings.group_id, settings.open_transactions) == ("test.saga-orchestrator", 3)


@pytest.mark.parametrize(
    ("name", "value"),
    (
        ("SESSION_TIMEOUT", "0"),
        ("SESSION_TIMEOUT", "nan"),
        ("SESSION_TIMEOUT", "inf"),
        ("SESSION_TIMEOUT", "soon"),
        ("TRANSACTION_TIMEOUT", "901"),
        ("POLL_TIMEOUT", "-5"),
        ("STEP_TIMEOUT", "0"),
        ("STEP_ATTEMPTS", "0"),
        ("STEP_ATTEMPTS", "1.5"),
        ("MIN_REPLICATION", "0"),
        ("COMPRESSION", "rar"),
        ("OPEN_TRANSACTIONS", "0"),
        ("BATCH_RECORDS", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("TOPIC_PREFIX", "with space"),
        ("TOPIC_PREFIX", "x" * 101),
        ("GROUP", "a/b"),
        ("GROUP", ""),
        ("INSTANCE_ID", "pod\n1"),
        ("INSTANCE_ID", ""),
        ("KAFKA_BOOTSTRAP", ""),
    ),
)
def test_a_wrong_setting_is_reported_in_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The sentence begins with the setting's name, and repeats no value."""
    monkeypatch.setenv(f"SAGA_{name}", value)
    with pytest.raises(WrongSetting) as error:
        load()
    assert re.fullmatch(rf"SAGA_{name} is wrong: [^\n]+", str(error.value))


@pytest.mark.parametrize("seconds", ((45, 45, 120), (15, 120, 120), (60, 45, 120), (15, 300, 120)))
def test_timeouts_in_the_wrong_order_are_refused(seconds: tuple[float, float, float]) -> None:
    """Its transaction must time out before its session, and the session before its poll loop counts as hung."""
    transaction, session, poll = seconds
    with pytest.raises(WrongSetting, match="SAGA_TRANSACTION_TIMEOUT < SAGA_SESSION_TIMEOUT < SAGA_POLL_TIMEOUT"):
        load(transaction_timeout=transaction, session_timeout=session, poll_timeout=poll)


def test_an_option_has_precedence_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command's option has precedence; one that was not given has no effect."""
    monkeypatch.setenv("SAGA_GROUP", "theirs")
    assert load(group="mine").group == "mine"
    assert load(group=None).group == "theirs"


def test_every_setting_has_a_description() -> None:
    """`saga settings` prints the descriptions."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_clients_get_the_settings() -> None:
    """Every setting reaches the Kafka clients."""
    clients = runner.client_config(
        load(
            kafka_bootstrap="127.0.0.1:1",
            topic_prefix="p.",
            group="g",
            instance_id="i",
            session_timeout=6,
            transaction_timeout=3,
            poll_timeout=60,
            compression="zstd",
            open_transactions=3,
            batch_records=7,
        )
    )
    consumer, producers = clients.consumer(), clients.producers()
    assert consumer["bootstrap.servers"] == "127.0.0.1:1"
    assert (consumer["session.timeout.ms"], consumer["max.poll.interval.ms"]) == (6_000, 60_000)
    assert {(producer["transaction.timeout.ms"], producer["compression.type"]) for producer in producers} == {
        (3_000, "zstd")
    }
    assert [producer["transactional.id"] for producer in producers] == [f"p.g.i.{number}" for number in range(2 * 3)]
    assert (clients.group, clients.batch_records) == ("p.g", 7)
