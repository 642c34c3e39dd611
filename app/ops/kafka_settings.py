"""The settings of Kafka connections, and the librdkafka configuration that follows from them; secrets are in files."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.kafka_access.security import Security, hosts, remote

log = logging.getLogger(__name__)

_MOST_BYTES = 65_536
_READABLE_BY_ALL = 0o004


class WrongSetting(Exception):
    """A setting is invalid. The message says in one sentence what to change."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _unset(value: object) -> object:
    return None if value == "" else value


Protocol = Annotated[str, BeforeValidator(_lower), Field(pattern="^(plaintext|ssl|sasl_plaintext|sasl_ssl)$")]
Mechanism = Annotated[str, BeforeValidator(_upper), Field(pattern="^(SCRAM-SHA-512|SCRAM-SHA-256|PLAIN)$")]
Plaintext = Annotated[str, BeforeValidator(_lower), Field(pattern="^(loopback|anywhere)$")]
File = Annotated[Path | None, BeforeValidator(_unset)]
Text = Annotated[str | None, BeforeValidator(_unset)]


class KafkaSettings(BaseSettings):
    """Addresses of the brokers, encryption and authentication. No field holds a secret, only the path of its file."""

    model_config = SettingsConfigDict(env_prefix="SAGA_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(
        "127.0.0.1:9092", min_length=1, description="bootstrap servers: host:port, separated by commas"
    )
    kafka_protocol: Protocol = Field(
        "plaintext", description="security protocol of that listener: plaintext, ssl, sasl_plaintext or sasl_ssl"
    )
    kafka_plaintext: Plaintext = Field(
        "loopback", description="where an unencrypted protocol is allowed: loopback (this computer) or anywhere"
    )
    kafka_ca: File = Field(None, description="PEM file of the CA that signed the brokers' certificates")
    kafka_certificate: File = Field(
        None, description="PEM file of the client certificate, for brokers that require one"
    )
    kafka_key: File = Field(None, description="PEM file of the client certificate's private key")
    kafka_key_password_file: File = Field(None, description="file with the password of that key, if it is encrypted")
    kafka_user: Text = Field(None, description="SASL user name")
    kafka_password_file: File = Field(None, description="file with the password of the SASL user")
    kafka_mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="SASL mechanism: SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN (with sasl_ssl only)"
    )

    @property
    def local(self) -> bool:
        """Whether the brokers must be on this computer, because the connection is not encrypted."""
        return not self._encrypted and self.kafka_plaintext == "loopback"

    @property
    def security(self) -> Security:
        """Encryption and authentication of the clients; reads the files that are named. Raises WrongSetting."""
        config: dict[str, Any] = {"security.protocol": self.kafka_protocol}
        if self._encrypted:
            config |= self._encryption()
        if self._authenticated:
            config |= {
                "sasl.mechanism": self.kafka_mechanism,
                "sasl.username": self.kafka_user,
                "sasl.password": _secret("SAGA_KAFKA_PASSWORD_FILE", self.kafka_password_file),
            }
        return Security(config, self.local)

    def refuse_contradictions(self) -> None:
        """Raises WrongSetting when settings contradict each other, or would send data unencrypted without consent."""
        for sentence in self._contradictions():
            raise WrongSetting(sentence)

    @property
    def _encrypted(self) -> bool:
        return self.kafka_protocol in ("ssl", "sasl_ssl")

    @property
    def _authenticated(self) -> bool:
        return self.kafka_protocol in ("sasl_plaintext", "sasl_ssl")

    def _contradictions(self) -> Iterator[str]:
        others = remote(hosts(self.kafka_bootstrap)) if self.local else []
        if others:
            yield (
                f"SAGA_KAFKA_BOOTSTRAP names {', '.join(others)}, which is not on this computer, and nothing would "
                "be encrypted: set SAGA_KAFKA_PROTOCOL to ssl or sasl_ssl, or SAGA_KAFKA_PLAINTEXT=anywhere if that "
                "network is safe"
            )
        tls_files = (self.kafka_ca, self.kafka_certificate, self.kafka_key, self.kafka_key_password_file)
        if any(tls_files) and not self._encrypted:
            yield (
                f"certificates and keys have no effect with SAGA_KAFKA_PROTOCOL={self.kafka_protocol}: set it to ssl "
                "or sasl_ssl, or unset SAGA_KAFKA_CA, _CERTIFICATE, _KEY and _KEY_PASSWORD_FILE"
            )
        if bool(self.kafka_certificate) != bool(self.kafka_key):
            yield "SAGA_KAFKA_CERTIFICATE and SAGA_KAFKA_KEY go together: set both, or neither"
        if self.kafka_key_password_file and not self.kafka_key:
            yield "SAGA_KAFKA_KEY_PASSWORD_FILE needs a key: set SAGA_KAFKA_KEY too, or unset it"
        yield from self._user_contradictions()

    def _user_contradictions(self) -> Iterator[str]:
        if self._authenticated and not (self.kafka_user and self.kafka_password_file):
            yield f"set SAGA_KAFKA_USER and SAGA_KAFKA_PASSWORD_FILE: {self.kafka_protocol} needs both"
        if (self.kafka_user or self.kafka_password_file) and not self._authenticated:
            yield (
                f"a user has no effect with SAGA_KAFKA_PROTOCOL={self.kafka_protocol}: set it to sasl_ssl, or unset "
                "SAGA_KAFKA_USER and SAGA_KAFKA_PASSWORD_FILE"
            )
        if self.kafka_mechanism == "PLAIN" and self.kafka_protocol == "sasl_plaintext":
            yield (
                "SAGA_KAFKA_MECHANISM=PLAIN would send the password unencrypted: set SAGA_KAFKA_PROTOCOL to "
                "sasl_ssl, or the mechanism to SCRAM-SHA-512"
            )

    def _encryption(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "enable.ssl.certificate.verification": True,
            "ssl.endpoint.identification.algorithm": "https",
        }
        if self.kafka_ca is not None:
            _check_authority(self.kafka_ca)
            config["ssl.ca.location"] = str(self.kafka_ca)
        if self.kafka_certificate is not None and self.kafka_key is not None:
            password = _secret("SAGA_KAFKA_KEY_PASSWORD_FILE", self.kafka_key_password_file)
            _check_pair(self.kafka_certificate, self.kafka_key, password)
            config |= {"ssl.certificate.location": str(self.kafka_certificate), "ssl.key.location": str(self.kafka_key)}
            if password:
                config["ssl.key.password"] = password
        return config


def _secret(setting: str, file: Path | None) -> str:
    """The one line of the file without its line end; empty when no file is set."""
    if file is None:
        return ""
    raw = _read(setting, file, secret=True)
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise WrongSetting(f"{setting} names {file}, which isn't one line of text: write the password into it")
    return text


def _read(setting: str, file: Path, *, secret: bool = False) -> bytes:
    try:
        with file.open("rb") as opened:
            if secret and file.stat().st_mode & _READABLE_BY_ALL:
                log.warning("%s names a file that every user of this computer can read", setting)
            return opened.read(_MOST_BYTES)
    except OSError as error:
        raise WrongSetting(
            f"{setting} names {file}, which can't be read ({error.strerror}): name another file, or make it readable"
        ) from error


def _check_authority(file: Path) -> None:
    _read("SAGA_KAFKA_CA", file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:
        raise WrongSetting(
            f"SAGA_KAFKA_CA names {file}, which holds no certificate: name a PEM file with one"
        ) from error


def _check_pair(certificate: Path, key: Path, password: str) -> None:
    """Raises WrongSetting; librdkafka's own error is less clear, and would ask for a key's password on a terminal."""
    _read("SAGA_KAFKA_CERTIFICATE", certificate)
    _read("SAGA_KAFKA_KEY", key, secret=True)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: password)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or "no PEM"
        raise WrongSetting(
            f"SAGA_KAFKA_CERTIFICATE {certificate} and SAGA_KAFKA_KEY {key} can't be used together ({why}): name PEM "
            "files of a certificate and its key, and in SAGA_KAFKA_KEY_PASSWORD_FILE the password if the key has one"
        ) from error
