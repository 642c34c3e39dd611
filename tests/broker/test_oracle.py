"""The engine against stock quixstreams, record by record: the same topology and input give the same output."""

import re
import sys
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Message

from app.demo.children import Child
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import until

pytestmark = pytest.mark.broker
ORDERS = 12
_START = re.compile(r":outcome:\d+:")  # the id of an outcome holds the start time of its saga
OUTPUTS = ("reservation.commands", "payment.commands", "order.outcomes", "saga.events", "saga.dead-letters")


def test_the_engine_writes_what_stock_quixstreams_writes(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Orders, replies of all kinds, cancels, operations and invalid records lead to the same output records."""
    written = [
        outputs_of(kafka_bootstrap, f"{topic_prefix}{which}.", tmp_path / which, which) for which in ("engine", "stock")
    ]
    assert written[0] == written[1]
    assert {topic for topic, _ in written[0]} == set(OUTPUTS)


def outputs_of(bootstrap: str, prefix: str, folder: Path, which: str) -> dict[tuple[str, bytes], list[Any]]:
    """The output records of one of the two by topic and key, without times."""
    folder.mkdir()
    with site(bootstrap, prefix, folder) as at:
        pod = at.running() if which == "engine" else start_stock(at)
        for send in (orders, reservations, payments, undos):
            until(partial(has_handled, at, send(at)), f"all of {send.__name__} to be handled")
        found: dict[tuple[str, bytes], list[Any]] = defaultdict(list)
        for topic in OUTPUTS:
            for message in at.read(topic):
                found[topic, message.key() or b""].append(comparable(message, prefix))
        pod.stop()
        return found


def start_stock(at: Site) -> Child:
    """Starts the same topology on stock quixstreams."""
    settings = {"SAGA_STATE_DIR": str(at.children.folder / "state")}
    pod = at.children.add("stock", (sys.executable, "-m", "tests.oracle"), settings)
    pod.start()
    return pod


def has_handled(at: Site, inputs: int) -> bool:
    """Whether this many inputs have led to a decision or to a dead letter."""
    return len(at.read("saga.events")) + len(at.read("saga.dead-letters")) == inputs


def orders(at: Site) -> int:
    """Sends orders, a duplicate, a conflict, and invalid records; returns the number of inputs to be handled so far."""
    for number in range(ORDERS):
        at.place(f"o-{number}")
    at.place("o-0")
    other = placed("o-0").replace(b'"c"', b'"d"')
    at.send("order.requests", b"o-0", other, said("order.place", "o-0"))
    at.send("order.requests", b"o-1", b"{", said("order.place", "bad"))
    at.send("order.requests", b"o-2", placed("o-3"), said("order.place", "o-3"))
    at.send("order.requests", b"gone", b'{"order_id":"gone","reason":"r"}', said("order.cancel", "c"))
    return ORDERS + 4


def reservations(at: Site) -> int:
    """Replies to the reservations: most are reserved, one is rejected, one fails without retry."""
    for number in range(ORDERS):
        order = f"o-{number}"
        command = f"{order}:reservation:do:1"
        if number == 1:
            at.answer("reservation.replies", "reservation.rejected", order, command, reason="sold out")
        elif number == 2:
            failed = {"reason": "broken", "retryable": False}
            at.answer("reservation.replies", "reservation.failed", order, command, **failed)
        else:
            at.answer("reservation.replies", "reservation.reserved", order, command, reservation_id=f"r-{order}")
    return ORDERS + 4 + ORDERS


def payments(at: Site) -> int:
    """Replies to payments: most are charged, one declined, one repeated; a cancel, and an operation that is refused."""
    for number in range(3, ORDERS - 1):
        order = f"o-{number}"
        command = f"{order}:payment:do:1"
        if number == 3:
            at.answer("payment.replies", "payment.declined", order, command, reason="no money")
        else:
            at.answer("payment.replies", "payment.charged", order, command, payment_id=f"p-{order}")
    at.answer("payment.replies", "payment.charged", "o-4", "o-4:payment:do:1", payment_id="p-o-4")
    last = f"o-{ORDERS - 1}"
    at.send("order.requests", last.encode(), cancel(last), said("order.cancel", "cancel"))
    retry = {"order_id": "o-2", "operator": "me", "reason": "why not"}
    at.send("saga.operations", b"o-2", orjson.dumps(retry), said("saga.retry", "retry"))
    return ORDERS + 4 + ORDERS + ORDERS - 4 + 3


def undos(at: Site) -> int:
    """Replies to the compensations; one cancel comes too late."""
    last = f"o-{ORDERS - 1}"
    for order in ("o-2", "o-3"):
        at.answer("reservation.replies", "reservation.released", order, f"{order}:reservation:undo:1")
    at.answer("payment.replies", "payment.refunded", last, f"{last}:payment:undo:1")
    at.send("order.requests", b"o-5", cancel("o-5"), said("order.cancel", "late"))
    return ORDERS + 4 + ORDERS + ORDERS - 4 + 3 + 4


def cancel(order: str) -> bytes:
    """The value of a cancel record."""
    return orjson.dumps({"order_id": order, "reason": "changed my mind"})


def comparable(message: Message, prefix: str) -> Any:
    """A record as a value that leaves out times and the topic prefix."""
    texts = [(name, (value or b"").decode().removeprefix(prefix)) for name, value in message.headers() or ()]
    headers = [(name, _START.sub(":outcome:", text)) for name, text in texts]
    kept = [(name, value) for name, value in headers if name not in ("ce_time", "__saga.errors.timestamp")]
    value = message.value() or b""
    return kept, without_times(orjson.loads(value), prefix) if value != b"{" else value


def without_times(value: Any, prefix: str) -> Any:
    """A JSON value without members that hold times, and without the topic prefix."""
    if isinstance(value, dict):
        kept = {name: member for name, member in value.items() if name != "at" and not name.endswith("_ms")}
        return {name: without_times(member, prefix) for name, member in kept.items()}
    if isinstance(value, list):
        return [without_times(member, prefix) for member in value]
    return value.removeprefix(prefix) if isinstance(value, str) else value
