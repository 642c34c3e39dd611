"""The first request to the brokers, and a diagnosis when no answer comes: address, TLS, user or password."""

import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from app.kafka_access.retriable import FAST_METADATA
from app.kafka_access.security import remote

_METADATA_SECONDS = 0.5  # for one metadata request
_SURE_SECONDS = 3.0  # some brokers of a cluster may still refuse a client that the others accept
_HANDSHAKE_SECONDS = 5.0
_ADDRESS = re.compile(r"(?:[a-z_]+://)?(?P<host>[^/]+):(?P<port>\d+)/")
_EXPIRED, _NOT_YET_VALID, _OTHER_HOST = 10, 9, (62, 64)  # codes of OpenSSL
_UNKNOWN_CA = (18, 19, 20, 21)


class Unreachable(Exception):
    """No broker accepts this client. The message says in one sentence why, and what to change."""


class NoAnswer(Unreachable):
    """No broker answered, and no error said why."""


class FirstContact:
    """An admin client that keeps librdkafka's latest error of each kind, to say why no answer comes."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._errors: dict[int, str] = {}
        try:
            self.admin = AdminClient({**client, **FAST_METADATA, "error_cb": self._note})
        except KafkaException as error:
            raise Unreachable(f"these settings make no Kafka client: {error.args[0].str()}") from error

    def first_answer(self, seconds: float, *, local: bool = False) -> ClusterMetadata:
        """The metadata of the cluster. With `local`, brokers that advertise other computers are refused.

        Raises Unreachable (NoAnswer without a diagnosis) after `seconds` at most, or sooner when the diagnosis is sure.
        """
        begun = time.monotonic()
        while (metadata := self._metadata()) is None:
            waited, why = time.monotonic() - begun, self._sent_away(local=local) or self.why()
            if why is not None and waited >= min(_SURE_SECONDS, seconds):
                raise Unreachable(why)
            if waited >= seconds:
                raise NoAnswer(self._silence(seconds))
        others = remote(broker.host for broker in metadata.brokers.values()) if local else []
        if others:
            raise Unreachable(_advertised_elsewhere(others))
        return metadata

    def why(self) -> str | None:
        """What a person must change before a broker accepts this client; None when no error says so."""
        self.admin.poll(0)
        login = self._errors.get(KafkaError._AUTHENTICATION)
        if login is not None:
            return self._rejected_login(login)
        tls = self._errors.get(KafkaError._SSL)
        if tls is not None:
            return _untrusted(tls, self._client.get("ssl.ca.location"))
        name = self._errors.get(KafkaError._RESOLVE)
        if name is not None:
            return (
                f"the broker at {_at(name)} has a host name that this computer can't resolve: use names that it can, "
                "in SAGA_KAFKA_BOOTSTRAP and in the brokers' advertised.listeners"
            )
        return _wrong_transport(self._errors.get(KafkaError._TRANSPORT, ""))

    def _sent_away(self, *, local: bool) -> str | None:
        """A sentence when the brokers advertise other computers that this client could not reach."""
        tried = [found["host"].strip("[]") for error in self._errors.values() if (found := _ADDRESS.match(error))]
        others = remote(tried) if local else []
        return _advertised_elsewhere(others) if others else None

    def _metadata(self) -> ClusterMetadata | None:
        try:
            return self.admin.list_topics(timeout=_METADATA_SECONDS)
        except KafkaException:  # timed out; the reason comes by the error callback
            self.admin.poll(0)
            return None

    def _note(self, error: KafkaError) -> None:
        self._errors[error.code()] = error.str()

    def _rejected_login(self, error: str) -> str:
        at, mechanism = _at(error), self._client.get("sasl.mechanism")
        if "mechanism handshake failed" in error:
            return f"the broker at {at} doesn't offer {mechanism}: set SAGA_KAFKA_MECHANISM to one that it offers"
        return (
            f"the broker at {at} doesn't know the user {self._client.get('sasl.username')} by this password and "
            f"{mechanism}: correct SAGA_KAFKA_USER, SAGA_KAFKA_PASSWORD_FILE or SAGA_KAFKA_MECHANISM"
        )

    def _silence(self, seconds: float) -> str:
        return (
            f"no Kafka broker answered at {self._client['bootstrap.servers']} within {seconds:.0f} s: "
            "start one, or correct SAGA_KAFKA_BOOTSTRAP (its address) or SAGA_KAFKA_PROTOCOL (its security protocol)"
        )


def _advertised_elsewhere(others: Iterable[str]) -> str:
    return (
        f"the brokers advertise {', '.join(others)}, which is not on this computer, without encryption: "
        "set SAGA_KAFKA_PROTOCOL to ssl or sasl_ssl, or SAGA_KAFKA_PLAINTEXT=anywhere if that network is safe"
    )


def _untrusted(error: str, ca_file: str | None) -> str:
    """Names the flaw of a broker's certificate, which librdkafka's error doesn't."""
    at = _at(error)
    code, text = _verify_again(error, ca_file)
    if code == _EXPIRED:
        return f"the certificate of the broker at {at} has expired: give the broker a new one"
    if code == _NOT_YET_VALID:
        return f"the certificate of the broker at {at} is not valid yet: set this computer's clock right"
    if code in _OTHER_HOST:
        return (
            f"the certificate of the broker at {at} is for another host: use the names of the certificates in "
            "SAGA_KAFKA_BOOTSTRAP and advertised.listeners, or give the brokers certificates for these names"
        )
    if code in _UNKNOWN_CA:
        return (
            f"no trusted CA has signed the certificate of the broker at {at}: "
            "set SAGA_KAFKA_CA to the file with the certificate of its CA"
        )
    return f"the broker at {at} can't be trusted ({text}): check its certificate and SAGA_KAFKA_CA"


def _verify_again(error: str, ca_file: str | None) -> tuple[int, str]:
    """Connects to the broker of the error once more: OpenSSL's code and text, or 0 and another text."""
    found = _ADDRESS.match(error)
    if found is None:
        return 0, error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file) if ca_file else context.load_default_certs()
    host, port = found["host"].strip("[]"), int(found["port"])
    try:
        with socket.create_connection((host, port), _HANDSHAKE_SECONDS) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as refusal:
        return refusal.verify_code, refusal.verify_message
    except OSError as failure:
        return 0, failure.strerror or type(failure).__name__
    return 0, "its certificate was refused a moment ago"


def _wrong_transport(error: str) -> str | None:
    at = _at(error)
    if "alert" in error:
        return (
            f"the broker at {at} requires a client certificate that it trusts: set SAGA_KAFKA_CERTIFICATE and "
            "SAGA_KAFKA_KEY to a valid one, signed by its CA"
        )
    if "PLAINTEXT broker listener" in error:
        return f"the broker at {at} doesn't speak TLS on this port: set SAGA_KAFKA_PROTOCOL to its security protocol"
    return None


def _at(error: str) -> str:
    found = _ADDRESS.match(error)
    return f"{found['host']}:{found['port']}" if found else "an unknown address"
