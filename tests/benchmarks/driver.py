"""The driver: `python -m tests.benchmarks.driver TEST` loads any orchestrator that fulfils the contract.

A measurement prints one line of JSON. `verify` prints errors and exits with 1 if there are any.
"""

import argparse
import json
import secrets
import sys
from collections.abc import Callable
from typing import Any

from tests.benchmarks.clients import Cluster, MeasurementFailed
from tests.benchmarks.closed_loop import closed_loop
from tests.benchmarks.drain import Drain
from tests.benchmarks.latency import OpenLoop, latency
from tests.benchmarks.messages import Orders
from tests.benchmarks.processes import Processes
from tests.benchmarks.verify import verify

_SHOWN = 20  # errors that are printed


def main() -> None:
    """Runs the test named on the command line."""
    args = _parser().parse_args()
    try:
        sys.exit(_COMMANDS[args.command](args))
    except MeasurementFailed as error:
        sys.exit(f"driver: {error}")


def _drain(args: argparse.Namespace) -> int:
    drain = Drain(
        _cluster(args),
        Processes(args.pid),
        Processes(args.broker_pid),
        frozen=args.freeze == "true",
        timeout=args.timeout,
    )
    return _print(drain.run(_orders(args), args.orders))


def _closed(args: argparse.Namespace) -> int:
    tested, broker = Processes(args.pid), Processes(args.broker_pid)
    result = closed_loop(_cluster(args), _orders(args), args.orders, args.in_flight, tested, broker, args.timeout)
    return _print(result)


def _latency(args: argparse.Namespace) -> int:
    load = OpenLoop(args.rate, args.warmup, args.seconds)
    tested, broker = Processes(args.pid), Processes(args.broker_pid)
    return _print(latency(_cluster(args), _orders(args), load, tested, broker))


def _verify(args: argparse.Namespace) -> int:
    errors = verify(_cluster(args), _orders(args), args.orders)
    for error in errors[:_SHOWN]:
        print(error)
    print(f"{len(errors)} errors" if errors else f"OK: {args.orders} orders, one final outcome each")
    return int(bool(errors))


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "drain": _drain,
    "closed": _closed,
    "latency": _latency,
    "verify": _verify,
}


def _print(result: dict[str, Any]) -> int:
    print(json.dumps({name: round(value, 4) if isinstance(value, float) else value for name, value in result.items()}))
    return 0


def _cluster(args: argparse.Namespace) -> Cluster:
    return Cluster(args.bootstrap, args.prefix, args.partitions)


def _orders(args: argparse.Namespace) -> Orders:
    return Orders(args.run or secrets.token_hex(4), args.decline_percent, args.lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="driver", description=__doc__)
    add = parser.add_argument
    add("command", choices=_COMMANDS)
    add("--bootstrap", default="127.0.0.1:9092")
    add("--prefix", default="")
    add("--partitions", type=int, default=4)
    add("--orders", type=int, default=10_000)
    add("--decline-percent", type=int, default=10)
    add("--lines", type=int, default=2, help="lines per order")
    add("--run", default="", help="part of the order ids; random by default")
    add("--pid", type=_ids, default=(), help="of the orchestrator; separate several with commas")
    add("--broker-pid", type=_ids, default=())
    add(
        "--freeze",
        choices=("true", "false"),
        default="false",
        help="pause the orchestrator while a drain's backlog is produced",
    )
    add("--timeout", type=float, default=80.0, help="seconds for a drain, or for a closed loop")
    add("--in-flight", type=int, default=2_000, help="orders in flight in a closed loop")
    add("--rate", type=float, default=100.0, help="orders per second")
    add("--seconds", type=float, default=20.0, help="of measurement")
    add("--warmup", type=float, default=5.0, help="seconds at the same rate before the measurement")
    return parser


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(id) for id in text.split(","))


if __name__ == "__main__":
    main()
