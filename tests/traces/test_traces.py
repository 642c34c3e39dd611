"""`saga traces` on a real broker: whole traces of a run in which a pod is killed, and the same ones once more."""

import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.broker.participant_replies import await_command, send_success, send_undone
from tests.broker.pods import SAGA, Site, placed, said, site
from tests.devkafka.support import LIMIT, until
from tests.traces.receiver import Receiver, receiving

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra traces is not installed")
pytestmark = pytest.mark.broker
ORDERS = 12
SHOP = f"00-{'c' * 32}-{'d' * 16}-01"
"""The trace that one order in four comes with."""


def test_a_run_with_a_killed_pod_gives_whole_traces(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """No span is an orphan, participants' spans neither; a second run from the beginning sends the same spans."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at, receiving() as receiver:
        first = at.running("first", traces=True)
        place_orders(at)
        for number in range(ORDERS):
            reserve(at, f"o-{number}")
            if number == ORDERS // 2:
                first.kill()
                at.running("second", traces=True)
        pay(at)
        run_traces(at, receiver, "--once")
        spans = list(receiver.spans)
        assert orphans(spans) == []
        assert len({span.trace_id for span in spans}) == ORDERS
        assert [span.name for span in spans].count("saga order") == ORDERS
        assert orphans([*spans, *participants_spans(at)]) == []
        assert len(participants_spans(at)) == len(at.read("reservation.commands")) + len(at.read("payment.commands"))
        run_traces(at, receiver, "--once", "--from", "beginning")
        assert sorted(map(serialized, receiver.spans[len(spans) :])) == sorted(map(serialized, spans))
        run_traces(at, receiver, "--once")
        assert len(receiver.spans) == 2 * len(spans)


def test_sagas_without_traces_have_traces_too(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Their pods ran without SAGA_TRACES; a saga under way waits for its end, and a broken receiver loses nothing."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at, receiving() as receiver:
        at.running("pod")
        for order in ("o-0", "o-1"):
            at.place(order)
            reserve(at, order)
        send_success(at, "o-1", "payment")
        at.await_events("o-1", "saga.completed")
        receiver.broken = True
        run_traces(at, receiver, "--once", exit_code=1)
        receiver.broken = False
        run_traces(at, receiver, "--once")
        assert [span.name for span in receiver.spans].count("saga order") == 1
        send_success(at, "o-0", "payment")
        at.await_events("o-0", "saga.completed")
        run_traces(at, receiver, "--once")
        assert len({span.trace_id for span in receiver.spans}) == 2
        assert orphans(receiver.spans) == []


def place_orders(at: Site) -> None:
    """Places the orders; one in four with a trace of its own."""
    for number in range(ORDERS):
        order, headers = f"o-{number}", said("order.place", f"o-{number}")
        if number % 4 == 0:
            headers.append(("traceparent", SHOP.replace("c" * 32, f"{number + 1:032x}").encode()))
        at.send("order.requests", order.encode(), placed(order), headers)


def reserve(at: Site, order: str) -> None:
    """The reservation is done, and the payment is requested."""
    await_command(at, order, "reservation")
    send_success(at, order, "reservation")


def pay(at: Site) -> None:
    """Most are charged; one in three is declined and rolled back."""
    for number in range(ORDERS):
        order = f"o-{number}"
        await_command(at, order, "payment")
        if number % 3:
            send_success(at, order, "payment")
        else:
            at.answer("payment.replies", "payment.declined", order, f"{order}:payment:do:1", reason="no")
            await_command(at, order, "reservation", "undo")
            send_undone(at, order, "reservation")
    for number in range(ORDERS):
        last = "saga.completed" if number % 3 else "saga.rolled_back"
        until(partial(has_ended, at, f"o-{number}", last), f"o-{number} to end")


def has_ended(at: Site, order: str, last: str) -> bool:
    """Whether the last event of an order is of this type."""
    return at.decided(order)[-1:] == [last]


def run_traces(at: Site, receiver: Receiver, *options: str, exit_code: int = 0) -> None:
    """Runs the command to its end."""
    where = ("--bootstrap", at.client["bootstrap.servers"], "--prefix", at.topics.prefix)
    command = (*SAGA, "traces", "--endpoint", receiver.endpoint, *where, *options)
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert ended.returncode == exit_code, ended.stderr


def participants_spans(at: Site) -> list[Any]:
    """The spans that participants would make: each a child of the `traceparent` of the command that it handles."""
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

    spans: list[Any] = []
    for topic in ("reservation.commands", "payment.commands"):
        for message in at.read(topic):
            headers = dict(message.headers() or ())
            _, trace, parent, _ = headers["traceparent"].decode().split("-")
            ids: dict[str, Any] = {"trace_id": bytes.fromhex(trace), "parent_span_id": bytes.fromhex(parent)}
            spans.append(Span(name=topic, span_id=len(spans).to_bytes(8, "big"), **ids))
            assert orjson.loads(message.value())["order_id"]
    return spans


def orphans(spans: list[Any]) -> list[str]:
    """The spans whose parent is neither in their trace nor in the shop."""
    known = {(span.trace_id, span.span_id) for span in spans}
    shop = bytes.fromhex("d" * 16)
    return [
        span.name
        for span in spans
        if span.parent_span_id not in (b"", shop) and (span.trace_id, span.parent_span_id) not in known
    ]


def serialized(span: Any) -> bytes:
    """All of a span, as bytes."""
    return bytes(span.SerializeToString(deterministic=True))
