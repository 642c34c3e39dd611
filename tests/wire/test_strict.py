"""Bytes to a JSON object: what is refused, with which code, and what just passes."""

import json
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.bad import Bad
from app.wire.strict import MAX_BYTES, MAX_DEPTH, parse
from tests.wire.values import junk


def refusal(value: bytes | None) -> str:
    """The code with which a value is refused."""
    with pytest.raises(Bad) as caught:
        parse(value)
    return caught.value.code


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    """An object in an object, so deep."""
    return (opening * (depth - 1) + "{}" + closing * (depth - 1)).encode()


@pytest.mark.parametrize(
    "value",
    (
        None,
        b"",
        b" ",
        b"null",
        b"true",
        b"1",
        b'"{}"',
        b"[]",
        b"[{}]",
        b"{",
        b"}",
        b"{}{}",
        b"{} x",
        b"{}\0",
        b"\0",
        b"{'a':1}",
        b"{a:1}",
        b'{"a":1,}',
        b'{"a"}',
        b'{"a":}',
        b'{"a":01}',
        b'{"a":+1}',
        b'{"a":.5}',
        b'{"a":1.}',
        b'{"a":0x1}',
        b'{"a":True}',
        b'{"a":undefined}',
        b'{/**/"a":1}',
        b"\xef\xbb\xbf{}",
        b"\xff\xfe{\0}\0",
        b"{\0}\0",
        b"<order/>",
    ),
)
def test_what_is_no_json_object_is_malformed(value: bytes | None) -> None:
    """Nothing, blanks, scalars, lists, broken JSON, marks of byte order and other encodings are refused."""
    assert refusal(value) == "malformed"


@pytest.mark.parametrize(
    "number", ("NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "1" + "0" * 309)
)
def test_a_number_that_is_none_is_malformed(number: str) -> None:
    """NaN, infinities and numbers beyond any double are refused, also in a field that nobody knows."""
    assert refusal(f'{{"note":{number}}}'.encode()) == "malformed"


def test_a_number_beyond_64_bits_is_no_integer() -> None:
    """2^64 does not come out as some other integer: only what fits into 64 bits is one."""
    assert parse(b'{"a":18446744073709551615}') == {"a": 2**64 - 1}
    assert type(parse(b'{"a":18446744073709551616}')["a"]) is float
    assert type(parse(b'{"a":-9223372036854775809}')["a"]) is float


@pytest.mark.parametrize(
    "text",
    (
        rb'"\ud800"',
        rb'"\udc00"',
        rb'"\udc00\ud800"',
        rb'"\ud800x"',
        rb'"\ud83d\u0041"',
        b'"\xed\xa0\x80"',
        b'"\xff"',
        b'"\xc3"',
        b'"\xc0\xaf"',
        b'"\xf4\x90\x80\x80"',
        b'"\x00"',
        b'"\n"',
        b'"\x1f"',
        rb'"\x41"',
        rb'"\u12"',
        b'"',
    ),
)
def test_text_that_is_none_is_malformed(text: bytes) -> None:
    """Lone surrogates, invalid UTF-8, raw control characters and unknown escapes are refused, as value and as name."""
    assert refusal(b'{"a":' + text + b"}") == "malformed"
    assert refusal(b"{" + text + b":1}") == "malformed"


def test_any_other_text_is_kept_as_it_is() -> None:
    """An escaped NUL, a right-to-left mark, a pair of surrogates or a combining accent is text like any other."""
    value = rb'{"a":"\u0000\u202e\ud83d\ude00e\u0301' + "\u2028\x7f".encode() + b'"}'
    assert parse(value) == {"a": "\0\u202e\U0001f600e\u0301\u2028\x7f"}


@pytest.mark.parametrize(
    "value",
    (
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        rb'{"a":1,"\u0061":2}',
        rb'{"a\/b":1,"a/b":2}',
        '{"\u00e9":1,"\\u00e9":2}'.encode(),
        b'{"":1,"":2}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":[{"b":1},{"b":1,"b":2}]}',
        b'{"a":[[[{"b":{},"b":{}}]]]}',
        rb'{"a":{"b":":::","\u0062":":"}}',
        b'{"a":":","a":1}',
        rb'{"a":"\":","a":1}',
    ),
)
def test_a_member_twice_is_malformed(value: bytes) -> None:
    """A member that comes twice is found in any object, however its name is spelled, with colons around it."""
    orjson.loads(value)
    assert refusal(value) == "malformed"


@pytest.mark.parametrize(
    "value",
    (
        b'{"a":1,"b":2}',
        b'{"a":{"a":{"a":1}}}',
        b'{"a":[{"a":1},{"a":1}]}',
        b'{"a":"b:c:d","b":"{\\"a\\":1,\\"a\\":2}"}',
        b'{"a:":1,":a":2,"::":3}',
        '{"\u00e9":1,"e\u0301":2,"A":3,"a":4}'.encode(),
    ),
)
def test_each_member_once_is_fine(value: bytes) -> None:
    """The same name in different objects, colons in names and strings, and names that only look alike are no twins."""
    assert parse(value) == json.loads(value)


@pytest.mark.parametrize(
    ("opening", "closing", "fits"),
    (('{"a":', "}", 32), ('{"[{":', "}", 32), ('{"a":[', "]}", 16), ('{"]":[{"a":', "}]}", 11)),
)
def test_depth_is_bounded(opening: str, closing: str, fits: int) -> None:
    """32 levels pass and 33 do not; lists are levels too, and brackets in names are none."""
    assert MAX_DEPTH == 32
    assert parse(nested(fits, opening, closing))
    assert refusal(nested(fits + 1, opening, closing)) == "malformed"


def test_the_outermost_object_is_level_one() -> None:
    """Exactly 32 levels are allowed."""
    assert parse(nested(32)) == json.loads(nested(32))
    assert refusal(nested(33)) == "malformed"
    assert parse(b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")
    assert refusal(b'{"a":' + b"[" * 32 + b"]" * 32 + b"}") == "malformed"


@pytest.mark.parametrize("text", (r"[{" * 1000, r"\"[{" * 1000, r"\\\"[" * 1000, "\\\\\\u005b[\u00e9{" * 100))
def test_brackets_in_strings_are_no_depth(text: str) -> None:
    """Thousands of brackets in a string, behind any escapes, don't make a value deep."""
    assert parse(f'{{"a":"{text}","b":[]}}'.encode())["b"] == []
    assert refusal(f'{{"a":"{text}","b":{"[" * 40 + "]" * 40}}}'.encode()) == "malformed"


@pytest.mark.parametrize("depth", (33, 1000, 1025, 32_000))
@pytest.mark.parametrize("opening", ("[", '{"a":'))
def test_a_deep_value_is_refused_before_it_is_parsed(depth: int, opening: str) -> None:
    """A value too deep is refused for that, even where it is no JSON: nothing has parsed it."""
    value = (b'{"a":' + opening.encode() * depth)[: MAX_BYTES - 1]
    with pytest.raises(Bad, match="deeper than 32") as caught:
        parse(value)
    assert caught.value.code == "malformed"


def test_a_hundred_thousand_levels_are_too_large() -> None:
    """Size is looked at first."""
    assert refusal(b"[" * 100_000) == "too_large"
    assert refusal(nested(100_000)) == "too_large"


def test_size_is_bounded() -> None:
    """65,536 bytes pass and one more does not; bytes are counted, not characters, and blanks count too."""
    assert MAX_BYTES == 65_536
    for filler in (b"x", "\u00e9".encode()):
        room = MAX_BYTES - len(b'{"a":""}')
        text = filler * (room // len(filler)) + b"x" * (room % len(filler))
        assert len(parse(b'{"a":"' + text + b'"}')) == 1
        assert refusal(b'{"a":"' + text + b'x"}') == "too_large"
    assert parse(b" " * (MAX_BYTES - 2) + b"{}") == {}
    assert refusal(b" " * (MAX_BYTES - 1) + b"{}") == "too_large"


@pytest.mark.parametrize("value", (b"x" * (MAX_BYTES + 1), b"\xff" * 10_000_000))
def test_a_value_too_large_is_refused_before_it_is_parsed(value: bytes) -> None:
    """Whatever is in it."""
    assert refusal(value) == "too_large"


@pytest.mark.parametrize(
    "value",
    (
        b'{"a":' + b'"' + b"\\" * 65_000,
        b"{" + b'"a":1,' * 10_000 + b'"b":2}',
        b'{"a":[' + b'{"b":1,"b":2},' * 4_000 + b"1]}",
        b"{" + b",".join(b'"%d":{}' % number for number in range(6_000)) + b"}",
        b'{"a":[' + b"{}," * 20_000 + b"1]}",
        b'"' * 65_536,
        b"{" * 40 + b'"\\' * 32_000,
    ),
)
def test_no_value_takes_long(value: bytes) -> None:
    """The most that fits into a value is judged in well under a second, good or bad."""
    begin = time.process_time()
    with suppress(Bad):
        parse(value)
    assert time.process_time() - begin < 1


@given(value=st.dictionaries(st.text(max_size=5), junk, max_size=4), ascii_only=st.booleans())
def test_every_other_object_is_read_as_it_is(*, value: dict[str, Any], ascii_only: bool) -> None:
    """What another JSON library writes is read as that library reads it."""
    written = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(written) == orjson.loads(written)


@given(st.dictionaries(st.text(max_size=3), junk, min_size=1, max_size=4), st.data())
def test_a_twin_is_found_wherever_it_is(value: dict[str, Any], data: st.DataObject) -> None:
    """A member of an object, written a second time somewhere in the same object, is found."""
    written = json.dumps(value)
    name = json.dumps(data.draw(st.sampled_from(sorted(value))))
    twin = f"{{{name}: {json.dumps(data.draw(junk))}, {written[1:]}"
    around = data.draw(st.sampled_from(("%s", '{"x": %s}', '{"x": [1, %s, ":"]}')))
    assert refusal((around % twin).encode()) == "malformed"


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ua019 ', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_bad(value: bytes) -> None:
    """Nothing but Bad is ever raised, and what is read is what the JSON library reads."""
    try:
        parsed = parse(value)
    except Bad:
        return
    assert parsed == orjson.loads(value)
