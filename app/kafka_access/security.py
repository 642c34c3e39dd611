"""Encryption and authentication of a client, and which hosts are on this computer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any


@dataclass(frozen=True, slots=True)
class Security:
    """Client configuration beside the addresses, secrets included; `local` restricts the client to this computer."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    local: bool = False


PLAINTEXT = Security()
"""No encryption, no authentication, any host."""


def hosts(bootstrap: str) -> list[str]:
    """The hosts in a list of bootstrap servers, parsed as librdkafka parses it."""
    return [_host(address.strip()) for address in bootstrap.split(",") if address.strip()]


def remote(hosts: Iterable[str]) -> list[str]:
    """The hosts that are not on this computer, sorted; every name but localhost counts as remote."""
    return sorted({host for host in hosts if not _is_here(host)})


def _host(address: str) -> str:
    rest = address.split("://", 1)[-1]
    host, colon, _ = rest.rpartition(":")
    has_port = colon and (":" not in host or host.endswith("]"))
    return (host if has_port else rest).strip("[]") or "localhost"


def _is_here(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
