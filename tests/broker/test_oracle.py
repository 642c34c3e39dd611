"""The engine against stock quixstreams, record by record: the same topology, the same input, the same output."""

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
_START = re.compile(r":outcome:\d+:")  # the id of an outcome tells when its saga began
OUTPUTS = ("reservation.commands", "payment.commands", "order.outcomes", "saga.events", "saga.dead-letters")


def test_the_engine_writes_what_stock_quixstreams_writes(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Orders, answers of all kinds, cancels, operators and what is not to be read lead to the same records."""
    written = [
        outputs_of(kafka_bootstrap, f"{topic_prefix}{which}.", tmp_path / which, which) for which in ("engine", "stock")
    ]
    assert written[0] == written[1]
    assert {topic for topic, _ in written[0]} == set(OUTPUTS)


def outputs_of(bootstrap: str, prefix: str, folder: Path, which: str) -> dict[tuple[str, bytes], list[Any]]:
    """What one of the two writes, by topic and key, without times."""
    folder.mkdir()
    with site(bootstrap, prefix, folder) as place:
        pod = place.running() if which == "engine" else stock(place)
        for play in (orders, reservations, payments, undos):
            until(partial(has_handled, place, play(place)), f"all of {play.__name__} to be handled")
        found: dict[tuple[str, bytes], list[Any]] = defaultdict(list)
        for topic in OUTPUTS:
            for message in place.read(topic):
                found[topic, message.key() or b""].append(timeless(message, prefix))
        pod.stop()
        return found


def stock(place: Site) -> Child:
    """The same topology on the library as it comes."""
    settings = {"SAGA_STATE_DIR": str(place.children.folder / "state")}
    pod = place.children.add("stock", (sys.executable, "-m", "tests.oracle"), settings)
    pod.start()
    return pod


def has_handled(place: Site, inputs: int) -> bool:
    """Whether so many inputs have led to a decision or to a dead letter."""
    return len(place.read("saga.events")) + len(place.read("saga.dead-letters")) == inputs


def orders(place: Site) -> int:
    """Orders, one of them twice, a conflicting one, and records that can't be read; returns what is handled by then."""
    for number in range(ORDERS):
        place.place(f"o-{number}")
    place.place("o-0")
    other = placed("o-0").replace(b'"c"', b'"d"')
    place.send("order.requests", b"o-0", other, said("order.place", "o-0"))
    place.send("order.requests", b"o-1", b"{", said("order.place", "bad"))
    place.send("order.requests", b"o-2", placed("o-3"), said("order.place", "o-3"))
    place.send("order.requests", b"gone", b'{"order_id":"gone","reason":"r"}', said("order.cancel", "c"))
    return ORDERS + 4


def reservations(place: Site) -> int:
    """Most are reserved, one is rejected, one fails for good, one is cancelled meanwhile."""
    for number in range(ORDERS):
        order = f"o-{number}"
        command = f"{order}:reservation:do:1"
        if number == 1:
            place.answer("reservation.replies", "reservation.rejected", order, command, reason="sold out")
        elif number == 2:
            failed = {"reason": "broken", "retryable": False}
            place.answer("reservation.replies", "reservation.failed", order, command, **failed)
        else:
            place.answer("reservation.replies", "reservation.reserved", order, command, reservation_id=f"r-{order}")
    return ORDERS + 4 + ORDERS


def payments(place: Site) -> int:
    """Most are charged, one is declined, one answer comes twice; a cancel, and an operation without sense."""
    for number in range(3, ORDERS - 1):
        order = f"o-{number}"
        command = f"{order}:payment:do:1"
        if number == 3:
            place.answer("payment.replies", "payment.declined", order, command, reason="no money")
        else:
            place.answer("payment.replies", "payment.charged", order, command, payment_id=f"p-{order}")
    place.answer("payment.replies", "payment.charged", "o-4", "o-4:payment:do:1", payment_id="p-o-4")
    last = f"o-{ORDERS - 1}"
    place.send("order.requests", last.encode(), cancel(last), said("order.cancel", "cancel"))
    wish = {"order_id": "o-2", "operator": "me", "reason": "why not"}
    place.send("saga.operations", b"o-2", orjson.dumps(wish), said("saga.retry", "retry"))
    return ORDERS + 4 + ORDERS + ORDERS - 4 + 3


def undos(place: Site) -> int:
    """What has to be undone is; a cancel comes too late."""
    last = f"o-{ORDERS - 1}"
    for order in ("o-2", "o-3"):
        place.answer("reservation.replies", "reservation.released", order, f"{order}:reservation:undo:1")
    place.answer("payment.replies", "payment.refunded", last, f"{last}:payment:undo:1")
    place.send("order.requests", b"o-5", cancel("o-5"), said("order.cancel", "late"))
    return ORDERS + 4 + ORDERS + ORDERS - 4 + 3 + 4


def cancel(order: str) -> bytes:
    """The value of a cancel."""
    return orjson.dumps({"order_id": order, "reason": "changed my mind"})


def timeless(message: Message, prefix: str) -> Any:
    """A record as a value in which times and the prefix are left out."""
    texts = [(name, (value or b"").decode().removeprefix(prefix)) for name, value in message.headers() or ()]
    headers = [(name, _START.sub(":outcome:", text)) for name, text in texts]
    kept = [(name, value) for name, value in headers if name not in ("ce_time", "__saga.errors.timestamp")]
    value = message.value() or b""
    return kept, without_times(orjson.loads(value), prefix) if value != b"{" else value


def without_times(value: Any, prefix: str) -> Any:
    """The same JSON value without members that are times, and without the prefix of topics."""
    if isinstance(value, dict):
        kept = {name: member for name, member in value.items() if name != "at" and not name.endswith("_ms")}
        return {name: without_times(member, prefix) for name, member in kept.items()}
    if isinstance(value, list):
        return [without_times(member, prefix) for member in value]
    return value.removeprefix(prefix) if isinstance(value, str) else value
