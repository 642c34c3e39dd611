"""How a client is let in, and where brokers are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any


@dataclass(frozen=True, slots=True)
class Access:
    """What a client is told beside the addresses, secrets among it, and whether it must stay on this computer."""

    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    local: bool = False


OPEN = Access()
"""No encryption, no name, to anywhere."""


def hosts(bootstrap: str) -> list[str]:
    """The hosts in a list of addresses, read as the client library reads it."""
    return [_host(address.strip()) for address in bootstrap.split(",") if address.strip()]


def elsewhere(hosts: Iterable[str]) -> list[str]:
    """Those that are not on this computer; a name counts as such unless it is localhost."""
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
