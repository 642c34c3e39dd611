"""Settings from the environment, each checked before anything starts."""

import re
import socket
from collections.abc import Iterator

import pytest

from app import runner
from app.ops.settings import Settings, WrongSetting, load


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of whoever runs the tests counts."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGA_{name.upper()}", raising=False)
    return iter(())


def test_without_any_setting_it_can_start() -> None:
    """The defaults are in order, and the pod is called like its computer."""
    settings = load()
    assert settings.instance_id == socket.gethostname()
    assert settings.group_id == "saga-orchestrator"


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting is read from SAGA_ and its name in capitals."""
    monkeypatch.setenv("SAGA_TOPIC_PREFIX", "test.")
    monkeypatch.setenv("SAGA_LANES", "3")
    settings = load()
    assert (settings.group_id, settings.lanes) == ("test.saga-orchestrator", 3)


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
        ("LANES", "0"),
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
def test_a_wrong_setting_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The sentence begins with the setting's name, and repeats no value."""
    monkeypatch.setenv(f"SAGA_{name}", value)
    with pytest.raises(WrongSetting) as found:
        load()
    assert re.fullmatch(rf"SAGA_{name} is wrong: [^\n]+", str(found.value))


@pytest.mark.parametrize("given", ((45, 45, 120), (15, 120, 120), (60, 45, 120), (15, 300, 120)))
def test_timeouts_that_would_let_a_lost_pod_go_on_are_refused(given: tuple[float, float, float]) -> None:
    """Its transaction ends before its partitions go to others, and those go before its loop counts as hung."""
    transaction, session, poll = given
    with pytest.raises(WrongSetting, match="SAGA_TRANSACTION_TIMEOUT < SAGA_SESSION_TIMEOUT < SAGA_POLL_TIMEOUT"):
        load(transaction_timeout=transaction, session_timeout=session, poll_timeout=poll)


def test_what_is_given_beats_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """An option of a command counts more, and one that was not given counts nothing."""
    monkeypatch.setenv("SAGA_GROUP", "theirs")
    assert load(group="mine").group == "mine"
    assert load(group=None).group == "theirs"


def test_every_setting_says_what_it_is_for() -> None:
    """`saga settings` prints them all."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_clients_get_what_was_set() -> None:
    """No setting is read and then forgotten on its way to Kafka."""
    clients = runner.clients(
        load(
            kafka_bootstrap="127.0.0.1:1",
            topic_prefix="p.",
            group="g",
            instance_id="i",
            session_timeout=6,
            transaction_timeout=3,
            poll_timeout=60,
            compression="zstd",
            lanes=3,
            batch_records=7,
        )
    )
    consumer, lanes = clients.consumer(), clients.lanes()
    assert consumer["bootstrap.servers"] == "127.0.0.1:1"
    assert (consumer["session.timeout.ms"], consumer["max.poll.interval.ms"]) == (6_000, 60_000)
    assert {(lane["transaction.timeout.ms"], lane["compression.type"]) for lane in lanes} == {(3_000, "zstd")}
    assert [lane["transactional.id"] for lane in lanes] == [f"p.g.i.{number}" for number in range(2 * 3)]
    assert (clients.group, clients.batch_records) == ("p.g", 7)
