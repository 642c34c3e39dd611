"""Connections to a real, guarded broker: who is accepted, and the sentence for everybody else."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from app import runner
from app.audit.cli import app as audit
from app.engine.errors import EngineStopped, NeedsOperator, NeedsRestart
from app.engine.kafka import topics_admin
from app.kafka_access import first_contact
from app.operators.cli import app as operators
from app.ops.settings import Settings, load
from app.saga.versions import Versions
from app.samples.cli import app as samples
from app.wire.topics import Topics
from tests.security.guarded import ELSEWHERE, NOWHERE, Guarded
from topologies.order import ORDER

pytestmark = pytest.mark.broker
TOPICS = Topics(Versions((ORDER,)), "none.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Doesn't wait for other brokers, as there is only one; removes all settings of the environment."""
    monkeypatch.setattr(first_contact, "_SURE_SECONDS", 0.1)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGA_{name.upper()}", raising=False)
    return iter(())


def refused(given: dict[str, Any], kind: type[EngineStopped] = NeedsOperator) -> str:
    """The sentence with which a pod with these settings refuses to start, within 10 s."""
    settings = load(**given)
    begun = time.monotonic()
    with pytest.raises(kind) as found:
        topics_admin.check(runner.client_config(settings).common(), TOPICS, 1, local=settings.local)
    assert time.monotonic() - begun < 10
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_user_with_a_password_is_accepted(broker: Guarded) -> None:
    """The sentence lists all missing permissions, beginning with those to read and write the inputs."""
    sentence = refused(broker.user("newcomer"))
    assert sentence.startswith(
        "this user lacks permissions: Read on topic none.order.requests, Write on topic none.order.r"
    )


def test_a_user_with_a_certificate_is_accepted(broker: Guarded) -> None:
    """The user name is that of the certificate."""
    assert refused(broker.certified("certified")).startswith("this user lacks permissions: ")


@pytest.mark.parametrize(
    ("command", "words"),
    (
        (samples, ("cancel", "o-1", "--reason", "x")),
        (operators, ("stuck", "--wait", "5")),
        (audit, ("check", "--timeout", "5")),
    ),
)
def test_every_command_names_a_wrong_password(
    broker: Guarded, monkeypatch: pytest.MonkeyPatch, command: Typer, words: tuple[str, ...]
) -> None:
    """Commands of shops, operators and auditors too."""
    user = broker.user("absent-minded")
    user["kafka_password_file"].write_text("not-the-password")
    for name, value in user.items():
        monkeypatch.setenv(f"SAGA_{name.upper()}", str(value))
    ended = CliRunner().invoke(command, words, obj=Versions((ORDER,)))
    assert ended.exit_code in {1, 2}
    assert "doesn't know the user absent-minded by this password" in ended.stderr


@pytest.mark.parametrize(
    ("changed", "sentence"),
    (
        ({"kafka_ca": "other_ca"}, "no trusted CA has signed the certificate of the broker at {}: set SAGA_KAFKA_CA"),
        ({"kafka_ca": ""}, "no trusted CA has signed the certificate of the broker at {}: set SAGA_KAFKA_CA"),
        ({"kafka_mechanism": "SCRAM-SHA-256"}, "the broker at {} doesn't offer SCRAM-SHA-256: set SAGA_KAFKA_MECH"),
        ({"kafka_bootstrap": "expired"}, "the certificate of the broker at {} has expired: give the broker a new one"),
        ({"kafka_bootstrap": "misnamed"}, "the certificate of the broker at {} is for another host: use the n"),
        ({"kafka_bootstrap": "plain"}, "the broker at {} doesn't speak TLS on this port: set SAGA_KAFKA_PROT"),
    ),
)  # fmt: skip
def test_the_cause_of_a_rejection_is_named(broker: Guarded, changed: dict[str, str], sentence: str) -> None:
    """In one sentence with the address of the broker and what to change."""
    addresses = {**broker.addresses, "plain": broker.plain}
    values = {**addresses, "other_ca": broker.certificates.other_ca}
    user = {**broker.user("visitor"), **{name: values.get(value, value) for name, value in changed.items()}}
    at = addresses.get(changed.get("kafka_bootstrap", ""), broker.addresses["sasl"])
    assert refused(user).startswith(sentence.format(at))


def test_plaintext_brokers_that_advertise_another_computer_are_refused(
    broker: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bootstrap server is on this computer, but its advertised address is not."""
    monkeypatch.setattr(topics_admin, "_SECONDS", 3.0)
    lured = {"kafka_bootstrap": broker.addresses["lure"]}
    assert refused(lured).startswith(f"the brokers advertise {ELSEWHERE}, which is not on this computer")
    assert refused({**lured, "kafka_plaintext": "anywhere"}).startswith("missing on the brokers: ")
    lost = {"kafka_bootstrap": broker.addresses["lost"]}
    assert refused(lost).startswith(f"the brokers advertise {NOWHERE}, which is not on this computer")
    sentence = refused({**lost, "kafka_plaintext": "anywhere"})
    assert sentence.startswith(f"the broker at {NOWHERE}:")
    assert "has a host name that this computer can't resolve: " in sentence


def test_a_missing_client_certificate_is_named(broker: Guarded) -> None:
    """Where the listener requires one."""
    user = {**broker.certified("shy"), "kafka_certificate": "", "kafka_key": ""}
    at = broker.addresses["mutual"]
    assert refused(user).startswith(
        f"the broker at {at} requires a client certificate that it trusts: set SAGA_KAFKA_CERTIFICATE"
    )


def test_a_plaintext_client_of_a_tls_listener_gets_no_answer(broker: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks the same as a missing broker, so the sentence names address and protocol."""
    monkeypatch.setattr(topics_admin, "_SECONDS", 1.0)
    sentence = refused({"kafka_bootstrap": broker.addresses["sasl"]}, NeedsRestart)
    assert sentence.startswith(f"no Kafka broker answered at {broker.addresses['sasl']} within 1 s: ")
    assert "SAGA_KAFKA_PROTOCOL" in sentence
