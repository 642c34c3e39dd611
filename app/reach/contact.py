"""The first word with the brokers: whether they answer, and why they don't."""

import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ClusterMetadata

from app.reach.access import elsewhere
from app.reach.passing import FRESH

_LOOK_SECONDS = 0.5
_SURE_SECONDS = 3.0  # some brokers of a cluster may still refuse what the others take
_SHAKE_SECONDS = 5.0
_AT = re.compile(r"(?:[a-z_]+://)?(?P<host>[^/]+):(?P<port>\d+)/")
_EXPIRED, _NOT_YET, _OTHER_NAMES = 10, 9, (62, 64)  # codes of OpenSSL
_UNKNOWN_SIGNERS = (18, 19, 20, 21)


class Unanswered(Exception):
    """No broker can be asked; the message says in one sentence why, and what to change."""


class Silent(Unanswered):
    """Nothing is there to answer, as far as can be told."""


class Contact:
    """A client for questions to the brokers, which remembers what it was told instead of an answer."""

    def __init__(self, client: Mapping[str, Any]) -> None:
        self._client = client
        self._told: dict[int, str] = {}
        try:
            self.admin = AdminClient({**client, **FRESH, "error_cb": self._note})
        except KafkaException as error:
            raise Unanswered(f"no client of Kafka can be made with these settings: {error.args[0].str()}") from error

    def first_answer(self, seconds: float, *, local: bool = False) -> ClusterMetadata:
        """What there is on the brokers. `local` refuses brokers that send clients on to other computers.

        Raises Unanswered, after `seconds` at most, and sooner when it is certain that nothing will come.
        """
        begun = time.monotonic()
        while (found := self._look()) is None:
            waited, why = time.monotonic() - begun, self._led(local=local) or self.why()
            if why is not None and waited >= min(_SURE_SECONDS, seconds):
                raise Unanswered(why)
            if waited >= seconds:
                raise Silent(self._silence(seconds))
        others = elsewhere(broker.host for broker in found.brokers.values()) if local else []
        if others:
            raise Unanswered(_led_to(others))
        return found

    def why(self) -> str | None:
        """What a person must change before any broker lets this client in; None when that is not known."""
        self.admin.poll(0)
        refused = self._told.get(KafkaError._AUTHENTICATION)
        if refused is not None:
            return self._unknown(refused)
        unsafe = self._told.get(KafkaError._SSL)
        if unsafe is not None:
            return _untrusted(unsafe, self._client.get("ssl.ca.location"))
        lost = self._told.get(KafkaError._RESOLVE)
        if lost is not None:
            return (
                f"no address is known here for the broker at {_at(lost)}: let SAGA_KAFKA_BOOTSTRAP name the brokers, "
                "and the brokers advertise themselves, as this computer knows them"
            )
        return _unfit(self._told.get(KafkaError._TRANSPORT, ""))

    def _led(self, *, local: bool) -> str | None:
        """Where the brokers sent this client, which didn't get there."""
        tried = [found["host"].strip("[]") for told in self._told.values() if (found := _AT.match(told))]
        others = elsewhere(tried) if local else []
        return _led_to(others) if others else None

    def _look(self) -> ClusterMetadata | None:
        try:
            return self.admin.list_topics(timeout=_LOOK_SECONDS)
        except KafkaException:  # it took too long; why it did is told aside
            self.admin.poll(0)
            return None

    def _note(self, error: KafkaError) -> None:
        self._told[error.code()] = error.str()

    def _unknown(self, refused: str) -> str:
        at, mechanism = _at(refused), self._client.get("sasl.mechanism")
        if "mechanism handshake failed" in refused:
            return f"the broker at {at} doesn't know {mechanism}: set SAGA_KAFKA_MECHANISM to what it knows"
        return (
            f"the broker at {at} doesn't know the user {self._client.get('sasl.username')} by this password and "
            f"{mechanism}: set SAGA_KAFKA_USER, SAGA_KAFKA_PASSWORD_FILE and SAGA_KAFKA_MECHANISM as it knows them"
        )

    def _silence(self, seconds: float) -> str:
        return (
            f"no Kafka broker answered at {self._client['bootstrap.servers']} within {seconds:.0f} s: "
            "start one, or set SAGA_KAFKA_BOOTSTRAP to where it is, and SAGA_KAFKA_PROTOCOL to what it speaks there"
        )


def _led_to(others: Iterable[str]) -> str:
    return (
        f"the brokers send clients on to {', '.join(others)}, which is not on this computer, without encryption: "
        "set SAGA_KAFKA_PROTOCOL to ssl or sasl_ssl, or SAGA_KAFKA_PLAINTEXT=anywhere if that network is safe"
    )


def _untrusted(told: str, authority: str | None) -> str:
    """Which of the things that can be wrong with a broker's certificate it is: the client library doesn't tell."""
    at = _at(told)
    code, words = _verdict(told, authority)
    if code == _EXPIRED:
        return f"the certificate of the broker at {at} has expired: give the broker a new one"
    if code == _NOT_YET:
        return f"the certificate of the broker at {at} is not valid yet: set this computer's clock right"
    if code in _OTHER_NAMES:
        return (
            f"the certificate of the broker at {at} is for another host: name the brokers as their certificates do, "
            "in SAGA_KAFKA_BOOTSTRAP and where they advertise themselves, or give them certificates for these names"
        )
    if code in _UNKNOWN_SIGNERS:
        return (
            f"nobody who is trusted here has signed the certificate of the broker at {at}: "
            "set SAGA_KAFKA_CA to the file with the certificate of who did"
        )
    return f"the broker at {at} can't be trusted ({words}): see to its certificate, and to SAGA_KAFKA_CA"


def _verdict(told: str, authority: str | None) -> tuple[int, str]:
    """What another look at the broker's certificate says: OpenSSL's code, 0 when there is none, and its words."""
    found = _AT.match(told)
    if found is None:
        return 0, told
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority) if authority else context.load_default_certs()
    host, port = found["host"].strip("[]"), int(found["port"])
    try:
        with socket.create_connection((host, port), _SHAKE_SECONDS) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return error.verify_code, error.verify_message
    except OSError as error:
        return 0, error.strerror or type(error).__name__
    return 0, "its certificate was refused a moment ago"


def _unfit(told: str) -> str | None:
    at = _at(told)
    if "alert" in told:
        return (
            f"the broker at {at} wants a certificate that it trusts: set SAGA_KAFKA_CERTIFICATE and SAGA_KAFKA_KEY "
            "to one that its authority has signed, and that has not expired"
        )
    if "PLAINTEXT broker listener" in told:
        return f"the broker at {at} doesn't speak TLS there: set SAGA_KAFKA_PROTOCOL to what it speaks"
    return None


def _at(told: str) -> str:
    found = _AT.match(told)
    return f"{found['host']}:{found['port']}" if found else "an unknown address"
