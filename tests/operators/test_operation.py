"""What an operator sends is what the orchestrator reads; what it could not read is not sent."""

import pytest

from app.saga.messages import Compensate, Operation, Retry, Skip
from app.wire.bad import Bad
from app.wire.operations import operation
from app.wire.reader import Reader
from topologies.order import ORDER

NOON = 43_200_000
UNSEEN = "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x85"
"""What ends a line or turns its direction, though it is none of the controls of ASCII."""


@pytest.mark.parametrize(
    "wish",
    (
        Retry("m-1", "olga", "it is up again"),
        Retry("m-1", "olga", "it is up again", "payment"),
        Skip("m-2", "ölga", "x" * 1024),
        Skip("m-2", "ölga", "right \N{RIGHT-TO-LEFT MARK}to left", "x" * 64),
        Compensate("m-3", "o" * 1024, "Betrug \N{PILE OF POO}"),
    ),
)
def test_the_orchestrator_reads_the_wish(wish: Operation) -> None:
    """Whatever its words, up to the limits of the contract."""
    out = operation("o-1", wish, NOON)
    received = Reader(ORDER).read(out.topic, out.key, out.value, out.headers)
    assert (received.saga_id, received.id, received.given) == ("o-1", wish.id, wish)


def test_the_envelope_is_that_of_the_contract() -> None:
    """Every header that it has for an operation."""
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
    """Whoever doesn't know of the field goes on writing and reading as before."""
    named = operation("o-1", kind("m-1", "olga", "why", "payment"), NOON)
    assert named.value == b'{"order_id":"o-1","operator":"olga","reason":"why","step":"payment"}'
    unnamed = operation("o-1", kind("m-1", "olga", "why"), NOON)
    assert unnamed.value == b'{"order_id":"o-1","operator":"olga","reason":"why"}'
    assert named.headers == unnamed.headers


@pytest.mark.parametrize("step", ("", "pay ment", "payment\n", "x" * 65, "\u202epayment", "\udcff"))
def test_a_step_is_checked(step: str) -> None:
    """By what a step can be called; what was given is not repeated."""
    for kind in (Retry, Skip):
        with pytest.raises(Bad, match=r"^step must match \[A-Za-z0-9\._-\]\{1,64\}$"):
            operation("o-1", kind("m-1", "olga", "why", step), NOON)


@pytest.mark.parametrize("order_id", ("", "my order", "o" * 129, "o-1\n", "ö", "o-1\0", "\udcff"))
def test_an_order_id_is_checked(order_id: str) -> None:
    """By the contract's alphabet and length; what was given is not repeated."""
    with pytest.raises(Bad, match=r"^order_id must match \[A-Za-z0-9\._-\]\{1,128\}$"):
        operation(order_id, Retry("m-1", "olga", "why"), NOON)


@pytest.mark.parametrize(
    ("text", "said"),
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
def test_words_are_checked(text: str, said: str) -> None:
    """Who and why are one line of 1 to 1,024 characters each; what was given is not repeated."""
    for name, wish in (("operator", Retry("m-1", text, "why")), ("reason", Retry("m-1", "olga", text))):
        with pytest.raises(Bad) as bad:
            operation("o-1", wish, NOON)
        assert str(bad.value) == f"{name} {said}"
