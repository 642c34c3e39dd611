"""The orchestrator reads every operation that an operator can send; an invalid operation is not sent."""

import pytest

from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.invalid_record import InvalidRecord
from app.wire.operations import operation
from app.wire.reader import Reader
from topologies.order import ORDER

NOON = 43_200_000
UNSEEN = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x85"
"""Characters beyond ASCII that end a line or change the direction of text."""


@pytest.mark.parametrize(
    "message",
    (
        Retry("m-1", "olga", "it is up again"),
        Retry("m-1", "olga", "it is up again", "payment"),
        Skip("m-2", "ölga", "x" * 1024),
        Skip("m-2", "ölga", "right \N{RIGHT-TO-LEFT MARK}to left", "x" * 64),
        Compensate("m-3", "o" * 1024, "Betrug \N{PILE OF POO}"),
    ),
)
def test_the_orchestrator_reads_the_operation(message: Operation) -> None:
    """With any text, up to the limits of the contract."""
    out = operation("o-1", message, NOON)
    received = Reader(ORDER).read(out.topic, out.key, out.value, out.headers)
    assert (received.saga_id, received.id, received.given) == ("o-1", message.id, message)


def test_the_envelope_is_that_of_the_contract() -> None:
    """Key, value and every header of an operation."""
    out = operation("o-1", Retry("m-1", "olga", "why"), NOON)
    assert (out.topic, out.key, out.value) == (
        "saga.operations",
        b"o-1",
        b'{"order_id":"o-1","operator":"olga","reason":"why"}',
    )
    assert dict(out.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"m-1",
        "ce_type": b"saga.retry",
        "ce_source": b"/operator",
        "ce_time": b"1970-01-01T12:00:00.000Z",
        "ce_correlationid": b"o-1",
        "content-type": b"application/json",
    }


@pytest.mark.parametrize("kind", (Retry, Skip))
def test_a_step_is_named_only_if_it_is_given(kind: type[Retry | Skip]) -> None:
    """Without a step the record is the same as in versions before the field existed."""
    named = operation("o-1", kind("m-1", "olga", "why", "payment"), NOON)
    assert named.value == b'{"order_id":"o-1","operator":"olga","reason":"why","step":"payment"}'
    unnamed = operation("o-1", kind("m-1", "olga", "why"), NOON)
    assert unnamed.value == b'{"order_id":"o-1","operator":"olga","reason":"why"}'
    assert named.headers == unnamed.headers


@pytest.mark.parametrize("step", ("", "pay ment", "payment\n", "x" * 65, "\u202epayment", "\udcff"))
def test_a_step_is_checked(step: str) -> None:
    """By the alphabet and length of step names; the sentence doesn't repeat the value."""
    for kind in (Retry, Skip):
        with pytest.raises(InvalidRecord, match=r"^step must match \[A-Za-z0-9\._-\]\{1,64\}$"):
            operation("o-1", kind("m-1", "olga", "why", step), NOON)


@pytest.mark.parametrize("order_id", ("", "my order", "o" * 129, "o-1\n", "ö", "o-1\0", "\udcff"))
def test_an_order_id_is_checked(order_id: str) -> None:
    """By the contract's alphabet and length; the sentence doesn't repeat the value."""
    with pytest.raises(InvalidRecord, match=r"^order_id must match \[A-Za-z0-9\._-\]\{1,128\}$"):
        operation(order_id, Retry("m-1", "olga", "why"), NOON)


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("", "must not be empty"),
        (" \n", "must not be empty"),
        ("a\0b", "must be one line of text, without control characters"),
        ("a\nb", "must be one line of text, without control characters"),
        ("\x1b[2J", "must be one line of text, without control characters"),
        ("\udcff", "must be one line of text, without control characters"),
        *((f"a{sign}b", "must be one line of text, without control characters") for sign in UNSEEN),
        ("x" * 1025, "must be a string of at most 1024 characters"),
    ),
)
def test_operator_and_reason_are_checked(text: str, sentence: str) -> None:
    """Each is one line of 1 to 1,024 characters; the sentence doesn't repeat the value."""
    for name, message in (("operator", Retry("m-1", text, "why")), ("reason", Retry("m-1", "olga", text))):
        with pytest.raises(InvalidRecord) as bad:
            operation("o-1", message, NOON)
        assert str(bad.value) == f"{name} {sentence}"
