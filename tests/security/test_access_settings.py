"""Security settings: contradictions and unusable files are refused in one sentence, before any connection."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as read_key

from app.kafka_access.security import hosts, remote
from app.ops.settings import Settings, WrongSetting, load

SASL = {"kafka_protocol": "sasl_ssl", "kafka_user": "saga"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Removes all settings of the environment that the tests run in."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SAGA_{name.upper()}", raising=False)
    return iter(())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """PEM files and password files, good and bad ones, by name."""
    folder, authority = tmp_path_factory.mktemp("files"), trustme.CA()
    one, other = authority.issue_cert("one.test"), authority.issue_cert("other.test")
    key = read_key(one.private_key_pem.bytes(), None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    contents = {
        "ca": authority.cert_pem.bytes(),
        "certificate": one.cert_chain_pems[0].bytes(),
        "key": one.private_key_pem.bytes(),
        "other_key": other.private_key_pem.bytes(),
        "locked_key": locked,
        "key_password": b"open sesame\n",
        "wrong_password": b"shazam\n",
        "password": b"s3cret\r\n",
        "empty": b"\n",
        "two_lines": b"one\ntwo\n",
        "binary": b"\xff\xfe\x00",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    return {name: folder / name for name in [*contents, "missing"]}


@pytest.mark.parametrize(
    ("bootstrap", "expected"),
    (
        ("127.0.0.1:9092", []),
        ("localhost:9092, [::1]:9093 ,127.8.9.10", []),
        ("LOCALHOST", []),
        ("::1", []),
        (":9092", []),
        ("PLAINTEXT://127.0.0.1:9092", []),
        ("[::ffff:127.0.0.1]:9092", []),
        ("kafka:9092", ["kafka"]),
        ("127.0.0.1:9092,10.0.0.1:9092", ["10.0.0.1"]),
        ("10.0.0.1", ["10.0.0.1"]),
        ("[2001:db8::1]:9092,2001:db8::2", ["2001:db8::1", "2001:db8::2"]),
        ("localhost.example.org:9092", ["localhost.example.org"]),
        ("127.0.0.1.example.org:9092", ["127.0.0.1.example.org"]),
        ("127.0.0.1:9092 10.0.0.1:9092", ["127.0.0.1:9092 10.0.0.1:9092"]),
        ("0:9092", ["0"]),
        ("PLAINTEXT://kafka:9092", ["kafka"]),
    ),
)
def test_loopback_hosts_are_not_remote(bootstrap: str, expected: list[str]) -> None:
    """Loopback addresses and localhost are on this computer; an address that can't be parsed is remote."""
    assert remote(hosts(bootstrap)) == expected


@pytest.mark.parametrize("protocol", ("plaintext", "sasl_plaintext"))
def test_plaintext_to_another_computer_must_be_allowed(files: dict[str, Path], protocol: str) -> None:
    """The sentence names the host and the setting; with encryption, or if `anywhere` is set, any host is fine."""
    user = {"kafka_user": "saga", "kafka_password_file": files["password"]}
    given: dict[str, Any] = {"kafka_bootstrap": "kafka:9092", "kafka_protocol": protocol}
    given |= user if protocol == "sasl_plaintext" else {}
    with pytest.raises(WrongSetting, match=r"names kafka, which is not on this computer, .* SAGA_KAFKA_PLAINTEXT=any"):
        load(**given)
    assert not load(**given, kafka_plaintext="anywhere").local
    assert not load(**{**given, **user, "kafka_protocol": "sasl_ssl"}).local
    assert load(**{**given, "kafka_bootstrap": "127.0.0.1:9092"}).security.local


@pytest.mark.parametrize(
    ("given", "sentence"),
    (
        ({"kafka_ca": "ca"}, "certificates and keys have no effect with SAGA_KAFKA_PROTOCOL=plaintext: "),
        ({"kafka_protocol": "ssl", "kafka_certificate": "certificate"}, "go together: set both, or neither"),
        ({"kafka_protocol": "ssl", "kafka_key": "key"}, "go together: set both, or neither"),
        ({"kafka_protocol": "ssl", "kafka_key_password_file": "password"}, "needs a key: set SAGA_KAFKA_KEY too"),
        (SASL, "set SAGA_KAFKA_USER and SAGA_KAFKA_PASSWORD_FILE: sasl_ssl needs both"),
        ({"kafka_protocol": "sasl_ssl", "kafka_password_file": "password"}, "sasl_ssl needs both"),
        ({"kafka_user": "saga"}, "a user has no effect with SAGA_KAFKA_PROTOCOL=plaintext: "),
        ({"kafka_protocol": "ssl", "kafka_password_file": "password"}, "a user has no effect with SAGA_KAFKA"),
        (
            {**SASL, "kafka_protocol": "sasl_plaintext", "kafka_password_file": "password", "kafka_mechanism": "plain"},
            "SAGA_KAFKA_MECHANISM=PLAIN would send the password unencrypted: ",
        ),
        ({"kafka_protocol": "tls"}, "SAGA_KAFKA_PROTOCOL is wrong: "),
        ({"kafka_mechanism": "GSSAPI"}, "SAGA_KAFKA_MECHANISM is wrong: "),
        ({"kafka_plaintext": "yes"}, "SAGA_KAFKA_PLAINTEXT is wrong: "),
    ),
)  # fmt: skip
def test_contradictions_are_refused(files: dict[str, Path], given: dict[str, str], sentence: str) -> None:
    """Each in one sentence that says what to change."""
    with pytest.raises(WrongSetting) as refused:
        load(**{name: files.get(value, value) for name, value in given.items()})
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    (
        ({"kafka_ca": "missing"}, "SAGA_KAFKA_CA names {}, which can't be read (No such file or directory): "),
        ({"kafka_ca": "password"}, "SAGA_KAFKA_CA names {}, which holds no certificate: "),
        ({"kafka_ca": "empty"}, "SAGA_KAFKA_CA names {}, which holds no certificate: "),
        ({"kafka_key": "missing"}, "SAGA_KAFKA_KEY names {}, which can't be read"),
        ({"kafka_key": "other_key"}, "can't be used together (KEY_VALUES_MISMATCH): "),
        ({"kafka_key": "certificate"}, "can't be used together ("),
        ({"kafka_key": "locked_key"}, "SAGA_KAFKA_KEY_PASSWORD_FILE the password if the key has one"),
        ({"kafka_key": "locked_key", "kafka_key_password_file": "wrong_password"}, "can't be used together ("),
        ({"kafka_key_password_file": "empty"}, "SAGA_KAFKA_KEY_PASSWORD_FILE names {}, which isn't one line"),
        ({"kafka_password_file": "missing"}, "SAGA_KAFKA_PASSWORD_FILE names {}, which can't be read (No such file"),
        ({"kafka_password_file": "empty"}, "SAGA_KAFKA_PASSWORD_FILE names {}, which isn't one line of text: "),
        ({"kafka_password_file": "two_lines"}, "isn't one line of text: "),
        ({"kafka_password_file": "binary"}, "isn't one line of text: "),
    ),
)
def test_a_file_that_cannot_be_used_is_named(files: dict[str, Path], given: dict[str, str], sentence: str) -> None:
    """With its setting and its flaw, but never with its content."""
    good = {"kafka_ca": "ca", "kafka_certificate": "certificate", "kafka_key": "key", "kafka_password_file": "password"}
    chosen = {name: files[file] for name, file in {**good, **given}.items()}
    with pytest.raises(WrongSetting) as refused:
        _ = load(**SASL, **chosen).security
    message = str(refused.value)
    assert sentence.format(files[list(given.values())[-1]]) in message
    assert not [secret for secret in ("open sesame", "shazam", "s3cret", "PRIVATE") if secret in message]


def test_all_settings_reach_the_client_configuration(files: dict[str, Path]) -> None:
    """Passwords without their line end; certificates and host names are always verified."""
    given = {"kafka_certificate": files["certificate"], "kafka_key": files["locked_key"]}
    secrets = {"kafka_key_password_file": files["key_password"], "kafka_password_file": files["password"]}
    settings = load(**SASL, **given, **secrets, kafka_ca=files["ca"], kafka_mechanism="scram-sha-256")
    assert settings.security.settings == {
        "security.protocol": "sasl_ssl",
        "enable.ssl.certificate.verification": True,
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.ca.location": str(files["ca"]),
        "ssl.certificate.location": str(files["certificate"]),
        "ssl.key.location": str(files["locked_key"]),
        "ssl.key.password": "open sesame",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "saga",
        "sasl.password": "s3cret",
    }


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Helm chart or a compose file sets variables without a value to the empty string."""
    for name in ("CA", "CERTIFICATE", "KEY", "KEY_PASSWORD_FILE", "USER", "PASSWORD_FILE"):
        monkeypatch.setenv(f"SAGA_KAFKA_{name}", "")
    assert load().security.settings == {"security.protocol": "plaintext"}


def test_a_world_readable_secret_is_warned_of(files: dict[str, Path], caplog: pytest.LogCaptureFixture) -> None:
    """It is used all the same: in a container there may be no other user."""
    given = {**SASL, "kafka_password_file": files["password"]}
    files["password"].chmod(0o644)
    try:
        with caplog.at_level(logging.WARNING):
            assert load(**given).security.settings["sasl.password"] == "s3cret"
    finally:
        files["password"].chmod(0o600)
    assert caplog.messages == ["SAGA_KAFKA_PASSWORD_FILE names a file that every user of this computer can read"]
