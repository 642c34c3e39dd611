"""Nothing printed, logged or served contains a secret or a record's data: tests plant canaries and search for them."""

import socket
import urllib.request
from base64 import b64encode
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from app import runner
from app.demo.children import Children
from app.engine.errors import NeedsRestart
from app.engine.kafka import topics_admin
from app.ops.settings import load
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.broker.pods import QUICK, SAGA, read_committed, said
from tests.devkafka.support import LIMIT, until
from tests.engine.test_command import refusal, saga
from tests.security.guarded import Guarded
from tests.security.secured_topics import SecuredTopics
from topologies.order import ORDER

PASSWORD, OLD_PASSWORD, KEY_PASSWORD = "canary-Pa55word", "canary-0ldPa55word", "canary-Keypa55word"
CUSTOMER, CARD, HEADER, REASON = "canary-customer-7", "4556737586899855", "canary-header-9", "canary-reason-3"
CANARIES = (PASSWORD, OLD_PASSWORD, KEY_PASSWORD, CUSTOMER, CARD, HEADER, REASON)


def canaries_in(text: str, more: tuple[str, ...] = ()) -> list[str]:
    """The canaries, and `more` secrets, that are in a text, plain or as Base64."""
    secrets = [*CANARIES, *more]
    return [each for each in secrets if each in text or b64encode(each.encode()).decode().rstrip("=") in text]


@pytest.fixture(scope="module")
def secretive(broker: Guarded, secured: SecuredTopics) -> dict[str, Any]:
    """The settings of an orchestrator with a password, a client certificate, and an encrypted key."""
    user = secured.user("orchestrator")
    broker.set_password(user["kafka_user"], PASSWORD)
    user["kafka_password_file"].write_text(PASSWORD)
    certificate, key = broker.certificates.client("secretive")
    body = load_pem_private_key(key.read_bytes(), None)
    locked = body.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(KEY_PASSWORD.encode()))
    key.write_bytes(locked)
    password = broker.certificates.folder / "key.password"
    password.write_text(KEY_PASSWORD)
    password.chmod(0o600)
    return {**user, "kafka_certificate": certificate, "kafka_key": key, "kafka_key_password_file": password}


def key_lines(settings: dict[str, Any]) -> tuple[str, ...]:
    """The lines of the private key."""
    return tuple(line for line in settings["kafka_key"].read_text().splitlines() if "-----" not in line)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_is_found(canary: str) -> None:
    """The search finds each of them, encoded ones too."""
    assert canaries_in(f"some {canary} text") == canaries_in(b64encode(canary.encode()).decode()) == [canary]
    assert canaries_in("any other text") == []


@pytest.mark.slow
@pytest.mark.broker
def test_a_pod_reveals_nothing(secured: SecuredTopics, secretive: dict[str, Any], tmp_path: Path) -> None:
    """Neither in its log at level DEBUG, nor in its metrics; orders, invalid records and reasons have canaries."""
    port = free_port()
    more = {"log_level": "DEBUG", "metrics_port": port, "metrics_host": "127.0.0.1"}
    given = {f"SAGA_{name.upper()}": str(value) for name, value in {**secretive, **more}.items()}
    with Children(tmp_path, QUICK | given) as children:
        pod = children.pod(SAGA, "pod")
        service = children.service(SAGA, "reservation")
        service.start()
        pod.start()
        pod.await_ready()
        invalid = produce_canaries(secured)
        until(lambda: dead_letters(secured) >= invalid, "the dead letters")
        until(lambda: decisions(secured) >= 2, "the order to be refused")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT) as page:
            metrics = page.read().decode()
        pod.stop()
        service.stop()
    texts = {"pod": pod.said(), "service": service.said(), "metrics": metrics}
    assert all(texts.values())
    found = {name: canaries_in(text, key_lines(secretive)) for name, text in texts.items()}
    assert found == {"pod": [], "service": [], "metrics": []}


def produce_canaries(secured: SecuredTopics) -> int:
    """Sends an order, a refusal, and invalid records, all with canaries; returns the number of dead letters to come."""
    producer, topics = Producer({"bootstrap.servers": secured.broker.plain, "log_level": 2}), secured.acls.topics
    order = {
        "order_id": "o-canary",
        "customer_id": CUSTOMER,
        "total": {"currency": "EUR", "minor": 100},
        "lines": [{"sku": CARD, "quantity": 1, "unit_price": {"currency": "EUR", "minor": 100}}],
        "card": CARD,
    }
    headers = [*said("order.place", "o-canary"), ("x-card", HEADER.encode())]
    producer.produce(topics.full("order.requests"), orjson.dumps(order), b"o-canary", headers=headers)
    assert producer.flush(LIMIT) == 0
    until(lambda: decisions(secured) >= 1, "the order to start")
    answer = orjson.dumps({"order_id": "o-canary", "reason": REASON})
    of_reply = [*said("reservation.rejected", "r-1"), ("ce_causationid", b"o-canary:reservation:do:1")]
    producer.produce(topics.full("reservation.replies"), answer, b"o-canary", headers=of_reply)
    place, odd = said("order.place", HEADER), [("ce_type", HEADER.encode()), ("ce_id", b"\xff" + HEADER.encode())]
    invalid = (
        (CARD.encode(), place),
        (orjson.dumps({**order, "lines": CUSTOMER}), place),
        (orjson.dumps({**order, "order_id": f"{CUSTOMER} {CARD}"}), place),
        (orjson.dumps({**order, "total": {"currency": CARD, "minor": 1}}), place),
        (b'{"order_id":"' + CARD.encode() + b'\xff"', place),
        (orjson.dumps(order), odd),
        (orjson.dumps(order), [*said(HEADER, "x"), (HEADER, None)]),
    )
    for value, pairs in invalid:
        for topic in ("order.requests", "payment.replies", "saga.operations"):
            producer.produce(topics.full(topic), value, CUSTOMER.encode(), headers=pairs)
        producer.produce(topics.full("reservation.commands"), value, CUSTOMER.encode(), headers=pairs)
    assert producer.flush(LIMIT) == 0
    return 3 * len(invalid)


def dead_letters(secured: SecuredTopics) -> int:
    """The number of dead letters."""
    return len(records(secured, "saga.dead-letters"))


def decisions(secured: SecuredTopics) -> int:
    """The number of decisions."""
    return len(records(secured, "saga.events"))


def records(secured: SecuredTopics, topic: str) -> list[Any]:
    """The committed records of a topic with one partition."""
    partition = TopicPartition(secured.acls.topics.full(topic), 0, 0)
    return read_committed({"bootstrap.servers": secured.broker.plain, "log_level": 2}, partition)


@pytest.mark.broker
def test_settings_and_refusals_reveal_nothing(broker: Guarded, secretive: dict[str, Any]) -> None:
    """`saga settings` names the files only, and the sentence about a wrong password doesn't repeat it."""
    shown = saga("settings", **secretive)
    assert str(secretive["kafka_password_file"]) in shown.stdout
    wrong = broker.certificates.folder / "old.password"
    wrong.write_text(OLD_PASSWORD)
    wrong.chmod(0o600)
    refused = saga("run", **{**secretive, "kafka_password_file": wrong, "log_level": "DEBUG"})
    assert refusal(refused) == (
        f"the broker at {broker.addresses['sasl']} doesn't know the user {secretive['kafka_user']} by this password "
        "and SCRAM-SHA-512: correct SAGA_KAFKA_USER, SAGA_KAFKA_PASSWORD_FILE or SAGA_KAFKA_MECHANISM"
    )
    for ended in (shown, refused):
        assert canaries_in(ended.stdout + ended.stderr, key_lines(secretive)) == []


@pytest.mark.broker
def test_a_missing_broker_reveals_nothing(
    secretive: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither in the sentence, nor in the client library's own output."""
    monkeypatch.setattr(topics_admin, "_SECONDS", 1.0)
    clients = runner.client_config(load(**{**secretive, "kafka_bootstrap": f"127.0.0.1:{free_port()}"}))
    with pytest.raises(NeedsRestart) as ended:
        topics_admin.check(clients.common(), Topics(Versions((ORDER,)), "p."), 1)
    assert canaries_in(str(ended.value) + "".join(capfd.readouterr()), key_lines(secretive)) == []
