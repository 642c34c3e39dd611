"""The driver: `python -m tests.benchmarks.driver TEST` loads any orchestrator that speaks the contract.

A measurement prints one line of JSON. `verify` ends with 1 when something was wrong, and says what.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.clients import Cluster, Trouble
from tests.benchmarks.closed import closed
from tests.benchmarks.drain import Drain
from tests.benchmarks.latency import Pace, latency
from tests.benchmarks.messages import Orders
from tests.benchmarks.processes import Processes
from tests.benchmarks.verify import verify

_SHOWN = 20  # wrongs that are printed


def main() -> None:
    """Does what the command line says."""
    given = _parser().parse_args()
    try:
        sys.exit(_COMMANDS[given.command](given))
    except Trouble as trouble:
        sys.exit(f"driver: {trouble}")


def _drain(given: argparse.Namespace) -> int:
    drain = Drain(
        _cluster(given),
        Processes(given.pid),
        Processes(given.broker_pid),
        frozen=given.freeze == "true",
        timeout=given.timeout,
    )
    return _print(drain.run(_orders(given), given.orders))


def _closed(given: argparse.Namespace) -> int:
    tested, broker = Processes(given.pid), Processes(given.broker_pid)
    result = closed(_cluster(given), _orders(given), given.orders, given.in_flight, tested, broker, given.timeout)
    return _print(result)


def _latency(given: argparse.Namespace) -> int:
    pace = Pace(given.rate, given.warmup, given.seconds)
    tested, broker = Processes(given.pid), Processes(given.broker_pid)
    return _print(latency(_cluster(given), _orders(given), pace, tested, broker))


def _verify(given: argparse.Namespace) -> int:
    wrong = verify(_cluster(given), _orders(given), given.orders)
    for sentence in wrong[:_SHOWN]:
        print(sentence)
    print(f"{len(wrong)} wrong" if wrong else f"OK: {given.orders} orders, one final outcome each")
    return int(bool(wrong))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "drain": _drain,
    "closed": _closed,
    "latency": _latency,
    "verify": _verify,
}


def _print(result: dict[str, Any]) -> int:
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in result.items()}))
    return 0


def _cluster(given: argparse.Namespace) -> Cluster:
    return Cluster(given.bootstrap, given.prefix, given.partitions)


def _orders(given: argparse.Namespace) -> Orders:
    return Orders(given.run or secrets.token_hex(4), given.decline_percent, given.lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="driver", description=__doc__)
    add = parser.add_argument
    add("command", choices=_COMMANDS)
    add("--bootstrap", default="127.0.0.1:9092")
    add("--prefix", default="")
    add("--partitions", type=int, default=4)
    add("--orders", type=int, default=10_000)
    add("--decline-percent", type=int, default=10)
    add("--lines", type=int, default=2, help="lines of an order")
    add("--run", default="", help="part of the order ids; drawn anew unless given")
    add("--pid", type=_ids, default=(), help="of the orchestrator; several with commas")
    add("--broker-pid", type=_ids, default=())
    add("--freeze", choices=("true", "false"), default="false", help="stop it while a drain's backlog is produced")
    add("--timeout", type=float, default=80.0, help="seconds for a drain, or for a closed loop")
    add("--in-flight", type=int, default=2_000, help="orders that are under way at a time, in a closed loop")
    add("--rate", type=float, default=100.0, help="orders a second")
    add("--seconds", type=float, default=20.0, help="measured")
    add("--warmup", type=float, default=5.0, help="seconds before that, at the same rate")
    return parser


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(id) for id in text.split(","))


if __name__ == "__main__":
    main()
