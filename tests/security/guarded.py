"""A real Kafka that authenticates its clients, and allows each user only the operations granted to it."""

import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.devkafka import Extra, Listener, LocalKafka
from app.devkafka.ports import free_ports
from app.wire.acls import Acl
from tests.devkafka.support import LIMIT, until

HOST = "127.0.0.1"
ELSEWHERE = "2130706433"  # 127.0.0.1 as a number, which counts as another computer
NOWHERE = "kafka..nowhere"  # no valid host name
_ITERATIONS = 4096
_OPERATIONS = {"Read": "READ", "Write": "WRITE", "Describe": "DESCRIBE", "DescribeConfigs": "DESCRIBE_CONFIGS"}
_SCRAM = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
}
_RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # clients of the plain listener: the broker itself, and the tests
    "allow.everyone.if.no.acl.found": "false",
    "ssl.principal.mapping.rules": "RULE:^CN=([^,]+),.*$/$1/,DEFAULT",
}


class Certificates:
    """Certificates: a CA, those that it has signed for brokers and clients, and another CA."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca = self._certificate("ca", self._authority)
        self.other_ca = self._certificate("other-ca", trustme.CA())

    def broker(self, name: str, host: str = HOST, *, expired: bool = False) -> Path:
        """A file with a broker's key and certificate."""
        not_after = datetime.now(UTC) - timedelta(days=1) if expired else None
        return self._key_and_certificate(name, self._authority.issue_cert(host, not_after=not_after))

    def client(self, user: str) -> tuple[Path, Path]:
        """A user's certificate and key."""
        issued = self._authority.issue_cert(f"{user}@test", common_name=user)
        certificate, key = self.folder / f"{user}.crt", self.folder / f"{user}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(_pkcs8(issued))
        key.chmod(0o600)
        return certificate, key

    def _certificate(self, name: str, authority: trustme.CA) -> Path:
        file = self.folder / f"{name}.pem"
        authority.cert_pem.write_to_path(str(file))
        return file

    def _key_and_certificate(self, name: str, issued: trustme.LeafCert) -> Path:
        file = self.folder / f"{name}.pem"
        file.write_bytes(_pkcs8(issued) + b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        return file


def _pkcs8(issued: trustme.LeafCert) -> bytes:
    """The key in the only format that Java reads."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Guarded:
    """The broker, its addresses by the name of the listener, and certificates for its clients."""

    certificates: Certificates
    plain: str
    addresses: dict[str, str]

    @property
    def admin(self) -> AdminClient:
        """An admin client of the super user."""
        return AdminClient({"bootstrap.servers": self.plain, "log_level": 2})

    def user(self, name: str) -> dict[str, Any]:
        """The settings of a new user with a password and without permissions."""
        password = secrets.token_urlsafe(18)
        self.set_password(name, password)
        file = self.certificates.folder / f"{name}.password"
        file.write_text(password + "\n", "utf-8")
        file.chmod(0o600)
        return {
            "kafka_bootstrap": self.addresses["sasl"],
            "kafka_protocol": "sasl_ssl",
            "kafka_ca": self.certificates.ca,
            "kafka_user": name,
            "kafka_password_file": file,
        }

    def certified(self, name: str) -> dict[str, Any]:
        """The settings of a new user with a certificate and without permissions."""
        certificate, key = self.certificates.client(name)
        return {
            "kafka_bootstrap": self.addresses["mutual"],
            "kafka_protocol": "ssl",
            "kafka_ca": self.certificates.ca,
            "kafka_certificate": certificate,
            "kafka_key": key,
        }

    def set_password(self, name: str, password: str) -> None:
        """Creates a user with this password, or changes the user's password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        admin = self.admin
        credential = UserScramCredentialUpsertion(name, info, password.encode())
        admin.alter_user_scram_credentials([credential])[name].result(LIMIT)

    def grant(self, rules: Iterable[AclBinding]) -> None:
        """Adds ACLs, and waits until they are in effect."""
        admin = self.admin
        wanted = list(rules)
        for future in admin.create_acls(wanted).values():
            future.result(LIMIT)
        until(lambda: all(self._exists(admin, rule) for rule in wanted), "the new ACLs")

    def revoke(self, rule: AclBinding) -> None:
        """Deletes one ACL, which must exist, and waits until it is gone."""
        admin = self.admin
        deleted = next(iter(admin.delete_acls([_exactly(rule)]).values())).result(LIMIT)
        assert len(deleted) == 1
        until(lambda: not self._exists(admin, rule), "the ACL to be gone")

    @staticmethod
    def _exists(admin: AdminClient, rule: AclBinding) -> bool:
        return len(admin.describe_acls(_exactly(rule)).result(LIMIT)) == 1


def rules(user: str, acls: Iterable[Acl]) -> list[AclBinding]:
    """The bindings that give a user these ACLs, one for each operation."""
    return [_rule(user, acl, operation) for acl in acls for operation in acl.operations]


def _rule(user: str, acl: Acl, operation: str) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if acl.prefixed else ResourcePatternType.LITERAL
    kind, allowed = ResourceType[acl.kind.upper().replace("-", "_")], AclOperation[_OPERATIONS[operation]]
    return AclBinding(kind, acl.name, pattern, f"User:{user}", "*", allowed, AclPermissionType.ALLOW)


def _exactly(rule: AclBinding) -> AclBindingFilter:
    return AclBindingFilter(
        rule.restype,
        rule.name,
        rule.resource_pattern_type,
        rule.principal,
        rule.host,
        rule.operation,
        rule.permission_type,
    )


@contextmanager
def guarded(folder: Path) -> Iterator[Guarded]:
    """A broker with one plain listener for the super user, and further ones, each with its own security.

    - sasl, mutual: TLS with SCRAM, TLS with client certificates
    - expired, misnamed: certificates that are expired, or of another host
    - brief: clients must authenticate again after 1.5 s
    - lure, lost: plaintext listeners that advertise another computer, and a name that nobody can resolve
    """
    certificates = Certificates(folder)
    good = certificates.broker("good")
    specified = {
        "sasl": ("SASL_SSL", good, _SCRAM),
        "mutual": ("SSL", good, {"ssl.client.auth": "required", **_trusted(certificates)}),
        "expired": ("SASL_SSL", certificates.broker("expired", expired=True), _SCRAM),
        "brief": ("SASL_SSL", good, {**_SCRAM, "connections.max.reauth.ms": "1500"}),
        "lure": ("PLAINTEXT", good, {}),
        "lost": ("PLAINTEXT", good, {}),
        "misnamed": ("SASL_SSL", certificates.broker("misnamed", "elsewhere.test"), _SCRAM),
    }
    ports = dict(zip(specified, free_ports(len(specified)), strict=True))
    listeners = tuple(
        Listener(name.upper(), ports[name], ports[name], protocol, {**_keystore(file), **more})
        for name, (protocol, file, more) in specified.items()
    )
    (plain,) = free_ports(1)
    hosts = {"LURE": ELSEWHERE, "LOST": NOWHERE}
    others = [f"{each.name}://{hosts.get(each.name, HOST)}:{each.advertised_port}" for each in listeners]
    advertised = {"advertised.listeners": ",".join([f"PLAINTEXT://{HOST}:{plain}", *others])}
    with LocalKafka(ports=[plain], extra={1: Extra(listeners, _RULES | advertised)}) as kafka:
        yield Guarded(certificates, kafka.bootstrap, {name: f"{HOST}:{port}" for name, port in ports.items()})


def _keystore(file: Path) -> dict[str, str]:
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(file)}


def _trusted(certificates: Certificates) -> dict[str, str]:
    return {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(certificates.ca)}
