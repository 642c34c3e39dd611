"""Trace context: ids that follow from the saga's own, so that they are the same wherever they are computed."""

import re

import pytest

from app.saga.messages import Trace
from app.saga.state import SagaData
from app.wire.envelope import cloudevent_headers, read
from app.wire.trace_context import add_spans, root_span_id, span_id, trace_headers, trace_id
from app.wire.writer import OutputRecord

ID = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{ID}-b7ad6b7169203331-01"
EVENT = OutputRecord("saga.events", b"o-1", b"{}", ())


def message(id: str) -> OutputRecord:
    """A command without a trace."""
    return OutputRecord("payment.commands", b"o-1", b"{}", cloudevent_headers(id, "t", b"/s", "now", b"o-1"))


def sent(trace: Trace | None, id: str = "o-1:payment:do:1") -> dict[str, bytes | None]:
    """The headers of a message with its own span."""
    records = [EVENT, message(id)]
    add_spans(records, "o-1", SagaData("order", 1, "", 1_772_357_400_125, {}, {}, trace))
    event, record = records
    assert event == EVENT
    assert type(record.headers) is list  # the client takes no tuple
    return dict(record.headers)


def test_the_ids_are_published() -> None:
    """Others may compute them: 16 and 8 bytes of BLAKE2b."""
    assert trace_id("o-1", 1_772_357_400_125, None) == "bdc6babb04b9d1bc99dd5247bc2e1d6a"
    assert span_id("o-1:payment:do:1") == "fd413d423a666a1a"
    assert root_span_id("o-1", 1_772_357_400_125) == "e6ebc0720df91192"
    assert trace_id("o-1", 1, Trace(PARENT)) == ID


def test_each_life_has_a_trace_of_its_own() -> None:
    """An order id may be used again, for another trace; messages of one life differ in their spans."""
    assert trace_id("o-1", 1, None) != trace_id("o-1", 2, None)
    assert root_span_id("o-1", 1) != root_span_id("o-1", 2)
    assert span_id("o-1:payment:do:1") != span_id("o-1:payment:do:2")


def test_a_message_is_the_parent_of_what_it_leads_to() -> None:
    """Its traceparent names its own span, in the trace of the saga, sampled if nobody has decided that."""
    life = trace_id("o-1", 1_772_357_400_125, None)
    assert sent(None)["traceparent"] == f"00-{life}-{span_id('o-1:payment:do:1')}-01".encode()
    assert "tracestate" not in sent(None)


@pytest.mark.parametrize(("flags", "kept"), (("01", "01"), ("00", "00"), ("03", "01"), ("02", "00"), ("ff", "01")))
def test_the_order_decides_whether_it_is_sampled(flags: str, kept: str) -> None:
    """Other flags are not for us to pass on. The tracestate goes with the trace."""
    headers = sent(Trace(PARENT[:-2] + flags, "a=1"))
    assert headers["traceparent"] == f"00-{ID}-{span_id('o-1:payment:do:1')}-{kept}".encode()
    assert headers["tracestate"] == b"a=1"


def test_a_trace_of_a_future_version_is_continued_in_ours() -> None:
    """Its first fields are those of version 00."""
    headers = sent(Trace(f"cc-{ID}-b7ad6b7169203331-01-what-comes"))
    assert re.fullmatch(rf"00-{ID}-[0-9a-f]{{16}}-01".encode(), headers["traceparent"] or b"")


def test_our_own_trace_is_valid() -> None:
    """A reader that follows the W3C keeps it."""
    headers = [*sent(None).items()]
    assert dict(read(b"{}", headers).trace) == {"traceparent": sent(None)["traceparent"]}


def test_a_trace_goes_on_as_it_came() -> None:
    """To the byte, with its tracestate if it has one."""
    assert trace_headers(None) == ()
    assert trace_headers(Trace(PARENT)) == (("traceparent", PARENT.encode()),)
    assert trace_headers(Trace(PARENT, "a=1")) == (("traceparent", PARENT.encode()), ("tracestate", b"a=1"))
