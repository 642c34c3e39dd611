"""Bytes to a JSON object: which values are refused, with which code, and which are just accepted."""

import json
import time
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.invalid_record import InvalidRecord
from app.wire.strict_json import MAX_BYTES, MAX_DEPTH, parse
from tests.wire.values import junk


def refusal(value: bytes | None) -> str:
    """The code with which a value is refused."""
    with pytest.raises(InvalidRecord) as caught:
        parse(value)
    return caught.value.code


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    """An object with this many levels."""
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
def test_a_value_other_than_a_json_object_is_malformed(value: bytes | None) -> None:
    """Nothing, blanks, scalars, lists, broken JSON, byte order marks and other encodings are refused."""
    assert refusal(value) == "malformed"


@pytest.mark.parametrize(
    "number", ("NaN", "-NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "1" + "0" * 309)
)
def test_an_invalid_number_is_malformed(number: str) -> None:
    """NaN, infinities and numbers beyond a double are refused, even in an unknown field."""
    assert refusal(f'{{"note":{number}}}'.encode()) == "malformed"


def test_a_number_beyond_64_bits_is_no_integer() -> None:
    """2^64 is parsed as a float, never as another integer."""
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
def test_invalid_text_is_malformed(text: bytes) -> None:
    """Lone surrogates, invalid UTF-8, raw control characters and unknown escapes are refused, as value and as name."""
    assert refusal(b'{"a":' + text + b"}") == "malformed"
    assert refusal(b"{" + text + b":1}") == "malformed"


def test_any_other_text_is_kept_as_it_is() -> None:
    """An escaped NUL, a right-to-left mark, a surrogate pair or a combining accent is text like any other."""
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
    """A duplicate member is found in any object, however its name is escaped, with colons around it."""
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
    """The same name in different objects, colons in names and strings, and names that look alike are no duplicates."""
    assert parse(value) == json.loads(value)


@pytest.mark.parametrize(
    ("opening", "closing", "fits"),
    (('{"a":', "}", 32), ('{"[{":', "}", 32), ('{"a":[', "]}", 16), ('{"]":[{"a":', "}]}", 11)),
)
def test_depth_is_bounded(opening: str, closing: str, fits: int) -> None:
    """32 levels pass and 33 do not. Lists are levels too; brackets in names are not."""
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
    """Thousands of brackets in a string, behind any escapes, add no depth."""
    assert parse(f'{{"a":"{text}","b":[]}}'.encode())["b"] == []
    assert refusal(f'{{"a":"{text}","b":{"[" * 40 + "]" * 40}}}'.encode()) == "malformed"


@pytest.mark.parametrize("depth", (33, 1000, 1025, 32_000))
@pytest.mark.parametrize("opening", ("[", '{"a":'))
def test_a_deep_value_is_refused_before_it_is_parsed(depth: int, opening: str) -> None:
    """It is refused for its depth even if it is not JSON, so it was not parsed."""
    value = (b'{"a":' + opening.encode() * depth)[: MAX_BYTES - 1]
    with pytest.raises(InvalidRecord, match="deeper than 32") as caught:
        parse(value)
    assert caught.value.code == "malformed"


def test_a_hundred_thousand_levels_are_too_large() -> None:
    """The size is checked first."""
    assert refusal(b"[" * 100_000) == "too_large"
    assert refusal(nested(100_000)) == "too_large"


def test_size_is_bounded() -> None:
    """65,536 bytes pass and one more does not. Bytes count, not characters, and blanks count too."""
    assert MAX_BYTES == 65_536
    for filler in (b"x", "\u00e9".encode()):
        left = MAX_BYTES - len(b'{"a":""}')
        text = filler * (left // len(filler)) + b"x" * (left % len(filler))
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
    """The worst values within the limit, valid or not, take well under a second."""
    begin = time.process_time()
    with suppress(InvalidRecord):
        parse(value)
    assert time.process_time() - begin < 1


@given(value=st.dictionaries(st.text(max_size=5), junk, max_size=4), ascii_only=st.booleans())
def test_every_other_object_is_read_as_it_is(*, value: dict[str, Any], ascii_only: bool) -> None:
    """The output of another JSON library is parsed as that library parses it."""
    written = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert parse(written) == orjson.loads(written)


@given(st.dictionaries(st.text(max_size=3), junk, min_size=1, max_size=4), st.data())
def test_a_duplicate_is_found_wherever_it_is(value: dict[str, Any], data: st.DataObject) -> None:
    """A member that is added a second time, anywhere in its object, is found."""
    written = json.dumps(value)
    name = json.dumps(data.draw(st.sampled_from(sorted(value))))
    duplicate = f"{{{name}: {json.dumps(data.draw(junk))}, {written[1:]}"
    around = data.draw(st.sampled_from(("%s", '{"x": %s}', '{"x": [1, %s, ":"]}')))
    assert refusal((around % duplicate).encode()) == "malformed"


@given(st.binary(max_size=200) | st.text(alphabet='{}[]":,\\ua019 ', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_an_invalid_record(value: bytes) -> None:
    """Only InvalidRecord is ever raised, and an accepted value is parsed as the JSON library parses it."""
    try:
        parsed = parse(value)
    except InvalidRecord:
        return
    assert parsed == orjson.loads(value)
