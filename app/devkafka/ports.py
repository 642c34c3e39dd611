"""Free ports on the loopback address."""

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack

from app.devkafka.errors import DevKafkaError
from app.devkafka.properties import HOST

# Below the ephemeral range, from which outgoing connections take their ports: while a broker is down, a client that
# keeps trying its port could be given that very port, connect to itself, and keep the broker from returning.
_LOWEST, _HIGHEST = 20_000, 32_000
_TRIES = 1_000


def free_ports(count: int, given: Sequence[int] = ()) -> list[int]:
    """`count` different free ports, the `given` ones first; DevKafkaError if a given one is taken."""
    with ExitStack() as held:
        ports = []
        for port in given:
            if port < 1 or not _hold(held, port):
                raise DevKafkaError(f"Port {port} on {HOST} is invalid or taken; choose another one.")
            ports.append(port)
        for port in random.SystemRandom().sample(range(_LOWEST, _HIGHEST), _TRIES):
            if len(ports) == count:
                return ports
            if _hold(held, port):
                ports.append(port)
    raise DevKafkaError(f"Fewer than {count} ports from {_LOWEST} to {_HIGHEST} are free; end some servers.")


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with ExitStack() as held:
        return _hold(held, port)


def _hold(held: ExitStack, port: int) -> bool:
    server = held.enter_context(socket.socket())
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((HOST, port))
    except (OSError, OverflowError):
        return False
    return True
