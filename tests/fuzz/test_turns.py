"""Messages mangled in every way that keeps most of them good, through all that a record leads to."""

from collections import Counter
from typing import Any, NamedTuple, get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.turn import Record
from app.wire.envelope import UNREADABLE
from app.wire.writer import Origin
from tests.fuzz.conftest import Court
from tests.fuzz.judge import Kind
from tests.fuzz.sagas import PARTITIONS, Said, record
from tests.fuzz.world import NOBODY
from tests.wire.values import STRUCTURED, encoded, junk, structured

WORDS = (
    "ce_id",
    "ce_type",
    "ce_causationid",
    "content-type",
    "traceparent",
    "tracestate",
    "__saga.errors.reason",
    "",
    "\u00e9",
)
_ODD = st.sampled_from((None, b"", b"\xff", b"\0\r\n", b"x" * 1025, b"application/cloudevents+json", b"order.place"))
_TEXTS = st.sampled_from(("", "\0", "\r\nlevel=error", "\u202egnp.exe", "e\u0301", "\U0001f600" * 1024, "x" * 1025))
_TIMES = st.sampled_from((0, -1, -(2**63), 2**63 - 1, 1_731_536_000_000))


class Mangling(NamedTuple):
    """What is done to a message: to a field, to its headers, to where it is, and to how it is written."""

    member: tuple[int, str, Any] | None
    header: tuple[str, bytes | None, bool] | None
    astray: bool
    key: str
    structured: bool
    spliced: tuple[int, bytes] | None
    unreadable: bool


_MEMBERS = st.tuples(st.integers(0, 9), st.sampled_from(("gone", "other", "nested", "more")), _TEXTS | junk)
_HEADERS = st.tuples(st.sampled_from(WORDS), _ODD | st.binary(max_size=20), st.booleans())


def rarely(*some: Any) -> st.SearchStrategy[Any]:
    """Mostly the first of them."""
    return st.sampled_from((some[0],) * 6 + some[1:])


def perhaps(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly nothing."""
    return rarely(False, True).flatmap(lambda wanted: strategy if wanted else st.none())


MANGLINGS = st.builds(
    Mangling,
    perhaps(_MEMBERS),
    perhaps(_HEADERS),
    rarely(False, True),
    rarely("own", "none", "empty", "other"),
    st.booleans(),
    perhaps(st.tuples(st.integers(0, 300), st.binary(max_size=4))),
    rarely(False, True),
)


def mangled(order_id: str, said: Said, how: Mangling, timestamp_ms: int) -> Record:
    """The record of a message after all that was done to it."""
    one = record(order_id, said)
    fields = {"order_id": order_id, **said.fields}
    if how.member is not None:
        fields = changed(fields, *how.member)
    value, headers = encoded(fields), list(one.headers or ())
    if how.structured:
        cause = {"causationid": said.command} if said.command is not None else {"causationid": ...}
        value, headers = structured(said.type, fields, **cause), list(STRUCTURED)
    if how.header is not None:
        name, content, instead = how.header
        headers = [*(header for header in headers if not instead or header[0] != name), (name, content)]
    if how.spliced is not None:
        at, bytes_in = how.spliced
        value = value[:at] + bytes_in + value[at + len(bytes_in) :]
    partition = one.origin.partition ^ how.astray
    origin = Origin(f"t.{said.topic}", partition % PARTITIONS, 7, timestamp_ms)
    keys = {"own": one.key, "none": None, "empty": b"", "other": b"s-1"}
    return Record(origin, keys[how.key], value, UNREADABLE if how.unreadable else headers)


def changed(fields: dict[str, Any], at: int, how: str, other: object) -> dict[str, Any]:
    """The fields, of which one is gone, another, or wrapped; or with one more."""
    name = sorted(fields)[at % len(fields)]
    if how == "gone":
        return {field: value for field, value in fields.items() if field != name}
    if how == "more":
        return {**fields, "step": other, "note": other}
    return {**fields, name: other if how == "other" else [fields[name]]}


def test_whatever_comes_is_one_whole_result(courts: tuple[Court, ...]) -> None:
    """One dead letter that changes nothing, one copy for its own partition, nothing, or one whole decision."""
    seen: Counter[str] = Counter()

    @settings(max_examples=max(300, settings().max_examples))
    @given(st.data())
    def play(data: st.DataObject) -> None:
        world, judge = data.draw(st.sampled_from(courts))
        order_id = data.draw(st.sampled_from((NOBODY, *world.sagas)))
        try:
            for _ in range(data.draw(st.integers(1, 3))):
                said = data.draw(st.sampled_from(world.told(order_id)))
                one = mangled(order_id, said, data.draw(MANGLINGS), data.draw(_TIMES))
                seen[judge.judge(world.take(said.topic, one))] += 1
        finally:
            world.reset()

    play()
    assert min(seen[kind] for kind in get_args(Kind)) >= 3
    assert seen["decided"] > 50
