"""The settings that lead to the brokers, and what the client library is told for them; secrets come from files."""

import logging
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.reach.access import Access, elsewhere, hosts

log = logging.getLogger(__name__)

_MOST_BYTES = 65_536
_READABLE_BY_ALL = 0o004


class WrongSetting(Exception):
    """A setting that can't be used; the message says in one sentence what to change."""


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
    """Where the brokers are, and how to get in. No field holds a secret: each names the file that does."""

    model_config = SettingsConfigDict(env_prefix="SAGA_", frozen=True, extra="ignore")

    kafka_bootstrap: str = Field(
        "127.0.0.1:9092", min_length=1, description="Kafka brokers to start from: host:port, with commas between"
    )
    kafka_protocol: Protocol = Field(
        "plaintext", description="what the brokers speak there: plaintext, ssl, sasl_plaintext or sasl_ssl"
    )
    kafka_plaintext: Plaintext = Field(
        "loopback", description="where a protocol without encryption is allowed: loopback (this computer), or anywhere"
    )
    kafka_ca: File = Field(None, description="PEM file of who signs the brokers' certificates")
    kafka_certificate: File = Field(
        None, description="PEM file of this client's own certificate, where brokers want one"
    )
    kafka_key: File = Field(None, description="PEM file of that certificate's key")
    kafka_key_password_file: File = Field(None, description="file with the password of that key, if it has one")
    kafka_user: Text = Field(None, description="name by which the brokers know this client (SASL)")
    kafka_password_file: File = Field(None, description="file with that user's password")
    kafka_mechanism: Mechanism = Field(
        "SCRAM-SHA-512", description="how the password is proved: SCRAM-SHA-512, SCRAM-SHA-256, or PLAIN over sasl_ssl"
    )

    @property
    def local(self) -> bool:
        """Whether the brokers must be on this computer, as nothing is encrypted."""
        return not self._encrypted and self.kafka_plaintext == "loopback"

    @property
    def access(self) -> Access:
        """How clients get in; reads the files that are named. Raises WrongSetting, with one sentence."""
        told: dict[str, Any] = {"security.protocol": self.kafka_protocol}
        if self._encrypted:
            told |= self._encryption()
        if self._authenticated:
            told |= {
                "sasl.mechanism": self.kafka_mechanism,
                "sasl.username": self.kafka_user,
                "sasl.password": _secret("SAGA_KAFKA_PASSWORD_FILE", self.kafka_password_file),
            }
        return Access(told, self.local)

    def refuse_nonsense(self) -> None:
        """Raises WrongSetting when the settings contradict each other, or would let anything be overheard unasked."""
        for sentence in self._contradictions():
            raise WrongSetting(sentence)

    @property
    def _encrypted(self) -> bool:
        return self.kafka_protocol in ("ssl", "sasl_ssl")

    @property
    def _authenticated(self) -> bool:
        return self.kafka_protocol in ("sasl_plaintext", "sasl_ssl")

    def _contradictions(self) -> Iterator[str]:
        strangers = elsewhere(hosts(self.kafka_bootstrap)) if self.local else []
        if strangers:
            yield (
                f"SAGA_KAFKA_BOOTSTRAP names {', '.join(strangers)}, which is not on this computer, and nothing would "
                "be encrypted: set SAGA_KAFKA_PROTOCOL to ssl or sasl_ssl, or SAGA_KAFKA_PLAINTEXT=anywhere if that "
                "network is safe"
            )
        papers = (self.kafka_ca, self.kafka_certificate, self.kafka_key, self.kafka_key_password_file)
        if any(papers) and not self._encrypted:
            yield (
                f"certificates and keys mean nothing to SAGA_KAFKA_PROTOCOL={self.kafka_protocol}: set it to ssl or "
                "sasl_ssl, or leave SAGA_KAFKA_CA, _CERTIFICATE, _KEY and _KEY_PASSWORD_FILE out"
            )
        if bool(self.kafka_certificate) != bool(self.kafka_key):
            yield "SAGA_KAFKA_CERTIFICATE and SAGA_KAFKA_KEY go together: set both, or neither"
        if self.kafka_key_password_file and not self.kafka_key:
            yield "SAGA_KAFKA_KEY_PASSWORD_FILE is for a key: set SAGA_KAFKA_KEY too, or leave it out"
        yield from self._contradictions_of_names()

    def _contradictions_of_names(self) -> Iterator[str]:
        if self._authenticated and not (self.kafka_user and self.kafka_password_file):
            yield f"set SAGA_KAFKA_USER and SAGA_KAFKA_PASSWORD_FILE: {self.kafka_protocol} needs both"
        if (self.kafka_user or self.kafka_password_file) and not self._authenticated:
            yield (
                f"a user means nothing to SAGA_KAFKA_PROTOCOL={self.kafka_protocol}: set it to sasl_ssl, or leave "
                "SAGA_KAFKA_USER and SAGA_KAFKA_PASSWORD_FILE out"
            )
        if self.kafka_mechanism == "PLAIN" and self.kafka_protocol == "sasl_plaintext":
            yield (
                "SAGA_KAFKA_MECHANISM=PLAIN would send the password for all to read: set SAGA_KAFKA_PROTOCOL to "
                "sasl_ssl, or the mechanism to SCRAM-SHA-512"
            )

    def _encryption(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "enable.ssl.certificate.verification": True,
            "ssl.endpoint.identification.algorithm": "https",
        }
        if self.kafka_ca is not None:
            _check_authority(self.kafka_ca)
            told["ssl.ca.location"] = str(self.kafka_ca)
        if self.kafka_certificate is not None and self.kafka_key is not None:
            password = _secret("SAGA_KAFKA_KEY_PASSWORD_FILE", self.kafka_key_password_file)
            _check_pair(self.kafka_certificate, self.kafka_key, password)
            told |= {"ssl.certificate.location": str(self.kafka_certificate), "ssl.key.location": str(self.kafka_key)}
            if password:
                told["ssl.key.password"] = password
        return told


def _secret(setting: str, file: Path | None) -> str:
    """What a file holds but for the end of its line; empty without a file."""
    if file is None:
        return ""
    raw = _read(setting, file, secret=True)
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable():
        raise WrongSetting(f"{setting} names {file}, which doesn't hold one line of text: write the password into it")
    return text


def _read(setting: str, file: Path, *, secret: bool = False) -> bytes:
    try:
        with file.open("rb") as opened:
            if secret and file.stat().st_mode & _READABLE_BY_ALL:
                log.warning("%s names a file that everybody on this computer can read", setting)
            return opened.read(_MOST_BYTES)
    except OSError as error:
        raise WrongSetting(
            f"{setting} names {file}, which can't be read ({error.strerror}): name another file, or let it be read"
        ) from error


def _check_authority(file: Path) -> None:
    _read("SAGA_KAFKA_CA", file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(file)
    except OSError as error:
        raise WrongSetting(
            f"SAGA_KAFKA_CA names {file}, which holds no certificate: name a PEM file that does"
        ) from error


def _check_pair(certificate: Path, key: Path, password: str) -> None:
    """The client library would say the same less clearly, and a key with a password it would ask for at a terminal."""
    _read("SAGA_KAFKA_CERTIFICATE", certificate)
    _read("SAGA_KAFKA_KEY", key, secret=True)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password=lambda: password)
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or "no PEM"
        raise WrongSetting(
            f"SAGA_KAFKA_CERTIFICATE {certificate} and SAGA_KAFKA_KEY {key} can't be used together ({why}): name PEM "
            "files of one certificate and of its key, and in SAGA_KAFKA_KEY_PASSWORD_FILE the password if it has one"
        ) from error
