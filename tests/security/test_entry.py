"""Coming in: who is let in, and what anybody else is told; on a real broker."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from app import runner
from app.audit.cli import app as audit
from app.engine import admin
from app.engine.errors import Ended, Refused, Stopped
from app.operators.cli import app as operators
from app.ops.settings import Settings, load
from app.reach import contact
from app.saga.versions import Versions
from app.samples.cli import app as samples
from app.wire.topics import Topics
from tests.security.guarded import ELSEWHERE, NOWHERE, Guarded
from topologies.order import ORDER

pytestmark = pytest.mark.broker
TOPICS = Topics(Versions((ORDER,)), "none.")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With one broker there is no other one to wait for; and no setting of whoever runs the tests counts."""
    monkeypatch.setattr(contact, "_SURE_SECONDS", 0.1)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGA_{name.upper()}", raising=False)
    return iter(())


def refused(given: dict[str, Any], kind: type[Stopped] = Refused) -> str:
    """Why a pod with these settings doesn't start."""
    settings = load(**given)
    begun = time.monotonic()
    with pytest.raises(kind) as found:
        admin.check(runner.clients(settings).plain(), TOPICS, 1, local=settings.local)
    assert time.monotonic() - begun < 10
    assert "\n" not in str(found.value)
    return str(found.value)


def test_a_user_with_a_password_comes_in(broker: Guarded) -> None:
    """And is told that nothing is allowed yet, not even to know which topics there are."""
    said = refused(broker.user("newcomer"))
    assert said.startswith(
        "this user lacks permissions: Read on topic none.order.requests, Write on topic none.order.r"
    )


def test_a_user_with_a_certificate_comes_in(broker: Guarded) -> None:
    """The certificate says who it is."""
    assert refused(broker.certified("certified")).startswith("this user lacks permissions: ")


@pytest.mark.parametrize(
    ("command", "words"),
    (
        (samples, ("cancel", "o-1", "--reason", "x")),
        (operators, ("stuck", "--wait", "5")),
        (audit, ("check", "--timeout", "5")),
    ),
)
def test_everybody_is_told_of_a_wrong_password(
    broker: Guarded, monkeypatch: pytest.MonkeyPatch, command: Typer, words: tuple[str, ...]
) -> None:
    """Shops and services, operators and auditors too."""
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
        ({"kafka_ca": "other_ca"}, "nobody who is trusted here has signed the certificate of the broker at {}: s"),
        ({"kafka_ca": ""}, "nobody who is trusted here has signed the certificate of the broker at {}: s"),
        ({"kafka_mechanism": "SCRAM-SHA-256"}, "the broker at {} doesn't know SCRAM-SHA-256: set SAGA_KAFKA_MECHANISM"),
        ({"kafka_bootstrap": "expired"}, "the certificate of the broker at {} has expired: give the broker a new one"),
        ({"kafka_bootstrap": "misnamed"}, "the certificate of the broker at {} is for another host: name the b"),
        ({"kafka_bootstrap": "plain"}, "the broker at {} doesn't speak TLS there: set SAGA_KAFKA_PROT"),
    ),
)  # fmt: skip
def test_what_keeps_somebody_out_is_told(broker: Guarded, changed: dict[str, str], sentence: str) -> None:
    """Each in one sentence that names the broker, and what to change."""
    where = {**broker.addresses, "plain": broker.plain}
    known = {**where, "other_ca": broker.papers.other_ca}
    user = {**broker.user("visitor"), **{name: known.get(value, value) for name, value in changed.items()}}
    at = where.get(changed.get("kafka_bootstrap", ""), broker.addresses["sasl"])
    assert refused(user).startswith(sentence.format(at))


def test_being_led_elsewhere_in_plain_is_refused(broker: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is on this computer, but it is not where the brokers say that they are."""
    monkeypatch.setattr(admin, "_SECONDS", 3.0)
    lured = {"kafka_bootstrap": broker.addresses["lure"]}
    assert refused(lured).startswith(f"the brokers send clients on to {ELSEWHERE}, which is not on this computer")
    assert refused({**lured, "kafka_plaintext": "anywhere"}).startswith("missing on the brokers: ")
    lost = {"kafka_bootstrap": broker.addresses["lost"]}
    assert refused(lost).startswith(f"the brokers send clients on to {NOWHERE}, which is not on this computer")
    assert refused({**lost, "kafka_plaintext": "anywhere"}).startswith(
        f"no address is known here for the broker at {NOWHERE}:"
    )


def test_a_missing_certificate_is_told(broker: Guarded) -> None:
    """Where the brokers want one of everybody."""
    user = {**broker.certified("shy"), "kafka_certificate": "", "kafka_key": ""}
    at = broker.addresses["mutual"]
    assert refused(user).startswith(
        f"the broker at {at} wants a certificate that it trusts: set SAGA_KAFKA_CERTIFICATE"
    )


def test_a_broker_that_speaks_otherwise_is_told(broker: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't be told from none at all, so the sentence names both."""
    monkeypatch.setattr(admin, "_SECONDS", 1.0)
    said = refused({"kafka_bootstrap": broker.addresses["sasl"]}, Ended)
    assert said.startswith(f"no Kafka broker answered at {broker.addresses['sasl']} within 1 s: ")
    assert "SAGA_KAFKA_PROTOCOL" in said
