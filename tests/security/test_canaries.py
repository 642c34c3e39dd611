"""Nothing that is printed, logged or served tells a secret, or what is in a record: canaries are planted and sought."""

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
from app.engine import admin
from app.engine.errors import Ended
from app.ops.settings import load
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.broker.pods import QUICK, SAGA, read_committed, said
from tests.devkafka.support import LIMIT, until
from tests.engine.test_command import refusal, saga
from tests.security.guarded import Guarded
from tests.security.permitted import Permitted
from topologies.order import ORDER

PASSWORD, OLD_PASSWORD, KEY_PASSWORD = "canary-Pa55word", "canary-0ldPa55word", "canary-Keypa55word"
CUSTOMER, CARD, HEADER, REASON = "canary-customer-7", "4556737586899855", "canary-header-9", "canary-reason-3"
CANARIES = (PASSWORD, OLD_PASSWORD, KEY_PASSWORD, CUSTOMER, CARD, HEADER, REASON)


def sung(text: str, more: tuple[str, ...] = ()) -> list[str]:
    """The canaries that are in a text, as they are or as Base64."""
    known = [*CANARIES, *more]
    return [each for each in known if each in text or b64encode(each.encode()).decode().rstrip("=") in text]


@pytest.fixture(scope="module")
def secretive(broker: Guarded, site: Permitted) -> dict[str, Any]:
    """The settings of an orchestrator with a password, and with a key that has one too."""
    user = site.user("orchestrator")
    broker.know(user["kafka_user"], PASSWORD)
    user["kafka_password_file"].write_text(PASSWORD)
    certificate, key = broker.papers.client("secretive")
    body = load_pem_private_key(key.read_bytes(), None)
    locked = body.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(KEY_PASSWORD.encode()))
    key.write_bytes(locked)
    password = broker.papers.folder / "key.password"
    password.write_text(KEY_PASSWORD)
    password.chmod(0o600)
    return {**user, "kafka_certificate": certificate, "kafka_key": key, "kafka_key_password_file": password}


def key_lines(settings: dict[str, Any]) -> tuple[str, ...]:
    """The lines of the private key."""
    return tuple(line for line in settings["kafka_key"].read_text().splitlines() if "-----" not in line)


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("canary", CANARIES)
def test_a_canary_is_heard(canary: str) -> None:
    """The search finds each of them, also where it was encoded."""
    assert sung(f"some {canary} text") == sung(b64encode(canary.encode()).decode()) == [canary]
    assert sung("all is quiet") == []


@pytest.mark.slow
@pytest.mark.broker
def test_a_pod_tells_nothing(site: Permitted, secretive: dict[str, Any], tmp_path: Path) -> None:
    """At its most talkative: of good orders, hostile records and reasons, and to who asks for figures."""
    port = free_port()
    more = {"log_level": "DEBUG", "metrics_port": port, "metrics_host": "127.0.0.1"}
    given = {f"SAGA_{name.upper()}": str(value) for name, value in {**secretive, **more}.items()}
    with Children(tmp_path, QUICK | given) as children:
        pod = children.pod(SAGA, "pod")
        service = children.service(SAGA, "reservation")
        service.start()
        pod.start()
        pod.await_ready()
        hostile = sing(site)
        until(lambda: dead_letters(site) >= hostile, "the dead letters")
        until(lambda: decisions(site) >= 2, "the order to be refused")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=LIMIT) as page:
            figures = page.read().decode()
        pod.stop()
        service.stop()
    heard = {"pod": pod.said(), "service": service.said(), "figures": figures}
    assert all(heard.values())
    assert [(name, *sung(text, key_lines(secretive))) for name, text in heard.items()] == [(name,) for name in heard]


def sing(site: Permitted) -> int:
    """An order, a refusal, and records that are none; returns how many of these there are."""
    producer, topics = Producer({"bootstrap.servers": site.broker.plain, "log_level": 2}), site.rights.topics
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
    until(lambda: decisions(site) >= 1, "the order to be begun")
    answer = orjson.dumps({"order_id": "o-canary", "reason": REASON})
    cause = [*said("reservation.rejected", "r-1"), ("ce_causationid", b"o-canary:reservation:do:1")]
    producer.produce(topics.full("reservation.replies"), answer, b"o-canary", headers=cause)
    place, odd = said("order.place", HEADER), [("ce_type", HEADER.encode()), ("ce_id", b"\xff" + HEADER.encode())]
    bad = (
        (CARD.encode(), place),
        (orjson.dumps({**order, "lines": CUSTOMER}), place),
        (orjson.dumps({**order, "order_id": f"{CUSTOMER} {CARD}"}), place),
        (orjson.dumps({**order, "total": {"currency": CARD, "minor": 1}}), place),
        (b'{"order_id":"' + CARD.encode() + b'\xff"', place),
        (orjson.dumps(order), odd),
        (orjson.dumps(order), [*said(HEADER, "x"), (HEADER, None)]),
    )
    for value, words in bad:
        for topic in ("order.requests", "payment.replies", "saga.operations"):
            producer.produce(topics.full(topic), value, CUSTOMER.encode(), headers=words)
        producer.produce(topics.full("reservation.commands"), value, CUSTOMER.encode(), headers=words)
    assert producer.flush(LIMIT) == 0
    return 3 * len(bad)


def dead_letters(site: Permitted) -> int:
    """How many there are."""
    return len(records(site, "saga.dead-letters"))


def decisions(site: Permitted) -> int:
    """How many were taken."""
    return len(records(site, "saga.events"))


def records(site: Permitted, topic: str) -> list[Any]:
    """What is committed in a topic of one partition."""
    place = TopicPartition(site.rights.topics.full(topic), 0, 0)
    return read_committed({"bootstrap.servers": site.broker.plain, "log_level": 2}, place)


@pytest.mark.broker
def test_settings_and_refusals_tell_nothing(broker: Guarded, secretive: dict[str, Any]) -> None:
    """`saga settings` names the files, and a password that is wrong ends a pod soon, in one sentence without it."""
    shown = saga("settings", **secretive)
    assert str(secretive["kafka_password_file"]) in shown.stdout
    wrong = broker.papers.folder / "old.password"
    wrong.write_text(OLD_PASSWORD)
    wrong.chmod(0o600)
    refused = saga("run", **{**secretive, "kafka_password_file": wrong, "log_level": "DEBUG"})
    assert refusal(refused) == (
        f"the broker at {broker.addresses['sasl']} doesn't know the user {secretive['kafka_user']} by this password "
        "and SCRAM-SHA-512: set SAGA_KAFKA_USER, SAGA_KAFKA_PASSWORD_FILE and SAGA_KAFKA_MECHANISM as it knows them"
    )
    for ended in (shown, refused):
        assert sung(ended.stdout + ended.stderr, key_lines(secretive)) == []


@pytest.mark.broker
def test_a_broker_that_is_gone_makes_nobody_talk(
    secretive: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither the refusal, nor what the client library says on its own."""
    monkeypatch.setattr(admin, "_SECONDS", 1.0)
    clients = runner.clients(load(**{**secretive, "kafka_bootstrap": f"127.0.0.1:{free_port()}"}))
    with pytest.raises(Ended) as ended:
        admin.check(clients.plain(), Topics(Versions((ORDER,)), "p."), 1)
    assert sung(str(ended.value) + "".join(capfd.readouterr()), key_lines(secretive)) == []
