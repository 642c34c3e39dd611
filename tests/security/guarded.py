"""A real Kafka that lets in only whom it knows, and lets each do only what was granted."""

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
from app.wire.rights import Right
from tests.devkafka.support import LIMIT, until

HOST = "127.0.0.1"
ELSEWHERE = "2130706433"  # this computer, but it doesn't look like it
NOWHERE = "kafka..nowhere"  # no name that anything could have
_ITERATIONS = 4096
_OPERATIONS = {"Read": "READ", "Write": "WRITE", "Describe": "DESCRIBE", "DescribeConfigs": "DESCRIBE_CONFIGS"}
_SCRAM = {
    "sasl.enabled.mechanisms": "SCRAM-SHA-512",
    "scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
}
_RULES = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",  # whoever uses the plain listener: the broker itself, and the tests
    "allow.everyone.if.no.acl.found": "false",
    "ssl.principal.mapping.rules": "RULE:^CN=([^,]+),.*$/$1/,DEFAULT",
}


class Papers:
    """Certificates: an authority, what it has signed for the brokers, and another authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.ca = self._written("ca", self._authority)
        self.other_ca = self._written("other-ca", trustme.CA())

    def broker(self, name: str, host: str = HOST, *, expired: bool = False) -> Path:
        """A file with a broker's key and certificate."""
        until_when = datetime.now(UTC) - timedelta(days=1) if expired else None
        return self._kept(name, self._authority.issue_cert(host, not_after=until_when))

    def client(self, user: str) -> tuple[Path, Path]:
        """A user's certificate and key."""
        made = self._authority.issue_cert(f"{user}@test", common_name=user)
        certificate, key = self.folder / f"{user}.crt", self.folder / f"{user}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        key.write_bytes(_pkcs8(made))
        key.chmod(0o600)
        return certificate, key

    def _written(self, name: str, authority: trustme.CA) -> Path:
        file = self.folder / f"{name}.pem"
        authority.cert_pem.write_to_path(str(file))
        return file

    def _kept(self, name: str, made: trustme.LeafCert) -> Path:
        file = self.folder / f"{name}.pem"
        file.write_bytes(_pkcs8(made) + b"".join(blob.bytes() for blob in made.cert_chain_pems))
        return file


def _pkcs8(made: trustme.LeafCert) -> bytes:
    """The key in the only form that Java reads."""
    key = load_pem_private_key(made.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class Guarded:
    """The broker, its addresses by what is special about them, and the papers of those who come."""

    papers: Papers
    plain: str
    addresses: dict[str, str]

    @property
    def admin(self) -> AdminClient:
        """Somebody who may do everything."""
        return AdminClient({"bootstrap.servers": self.plain, "log_level": 2})

    def user(self, name: str) -> dict[str, Any]:
        """The settings of a new user with a password, who may do nothing yet."""
        password = secrets.token_urlsafe(18)
        self.know(name, password)
        file = self.papers.folder / f"{name}.password"
        file.write_text(password + "\n", "utf-8")
        file.chmod(0o600)
        return {
            "kafka_bootstrap": self.addresses["sasl"],
            "kafka_protocol": "sasl_ssl",
            "kafka_ca": self.papers.ca,
            "kafka_user": name,
            "kafka_password_file": file,
        }

    def certified(self, name: str) -> dict[str, Any]:
        """The settings of a new user with a certificate, who may do nothing yet."""
        certificate, key = self.papers.client(name)
        return {
            "kafka_bootstrap": self.addresses["mutual"],
            "kafka_protocol": "ssl",
            "kafka_ca": self.papers.ca,
            "kafka_certificate": certificate,
            "kafka_key": key,
        }

    def know(self, name: str, password: str) -> None:
        """Makes a user known by this password."""
        info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
        admin = self.admin
        wish = UserScramCredentialUpsertion(name, info, password.encode())
        admin.alter_user_scram_credentials([wish])[name].result(LIMIT)

    def grant(self, rules: Iterable[AclBinding]) -> None:
        """Adds access rules; returns once they count."""
        admin = self.admin
        wanted = list(rules)
        for future in admin.create_acls(wanted).values():
            future.result(LIMIT)
        until(lambda: all(self._holds(admin, rule) for rule in wanted), "the new access rules")

    def revoke(self, rule: AclBinding) -> None:
        """Takes one access rule away, which must be there; returns once it doesn't count."""
        admin = self.admin
        found = next(iter(admin.delete_acls([_exactly(rule)]).values())).result(LIMIT)
        assert len(found) == 1
        until(lambda: not self._holds(admin, rule), "the access rule to be gone")

    @staticmethod
    def _holds(admin: AdminClient, rule: AclBinding) -> bool:
        return len(admin.describe_acls(_exactly(rule)).result(LIMIT)) == 1


def rules(user: str, rights: Iterable[Right]) -> list[AclBinding]:
    """The access rules that give a user these rights, one for each operation."""
    return [_rule(user, right, operation) for right in rights for operation in right.operations]


def _rule(user: str, right: Right, operation: str) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL
    kind, asked = ResourceType[right.kind.upper().replace("-", "_")], AclOperation[_OPERATIONS[operation]]
    return AclBinding(kind, right.name, pattern, f"User:{user}", "*", asked, AclPermissionType.ALLOW)


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
    """A broker with one plain listener for those who run it, and guarded ones for everybody else."""
    papers = Papers(folder)
    good = papers.broker("good")
    wishes = {
        "sasl": ("SASL_SSL", good, _SCRAM),
        "mutual": ("SSL", good, {"ssl.client.auth": "required", **_trusted(papers)}),
        "expired": ("SASL_SSL", papers.broker("expired", expired=True), _SCRAM),
        "brief": ("SASL_SSL", good, {**_SCRAM, "connections.max.reauth.ms": "1500"}),
        "lure": ("PLAINTEXT", good, {}),
        "lost": ("PLAINTEXT", good, {}),
        "misnamed": ("SASL_SSL", papers.broker("misnamed", "elsewhere.test"), _SCRAM),
    }
    ports = dict(zip(wishes, free_ports(len(wishes)), strict=True))
    listeners = tuple(
        Listener(name.upper(), ports[name], ports[name], protocol, {**_keystore(file), **more})
        for name, (protocol, file, more) in wishes.items()
    )
    (own,) = free_ports(1)
    led = {"LURE": ELSEWHERE, "LOST": NOWHERE}
    told = [f"{at.name}://{led.get(at.name, HOST)}:{at.told}" for at in listeners]
    advertised = {"advertised.listeners": ",".join([f"PLAINTEXT://{HOST}:{own}", *told])}
    with LocalKafka(ports=[own], extra={1: Extra(listeners, _RULES | advertised)}) as kafka:
        yield Guarded(papers, kafka.bootstrap, {name: f"{HOST}:{port}" for name, port in ports.items()})


def _keystore(file: Path) -> dict[str, str]:
    return {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(file)}


def _trusted(papers: Papers) -> dict[str, str]:
    return {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(papers.ca)}
