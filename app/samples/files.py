"""Orders out of files: one JSON object a line (NDJSON), or CSV with one row for each line of an order."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import orjson

from app.saga.messages import Order
from app.samples.orders import Placement, first
from app.samples.trouble import Trouble
from app.wire import fields
from app.wire.bad import Bad
from app.wire.strict import MAX_BYTES, parse

STDIN = "-"
COLUMNS = ("order_id", "customer_id", "currency", "total_minor", "sku", "quantity", "unit_price_minor")

Row = dict[str, str]


def read(name: str) -> Iterator[Placement]:
    """The orders of a file: CSV when its name ends so, else NDJSON; `-` is NDJSON from standard input.

    Raises Trouble, with file and line, at the first line that is not as it should be.
    """
    if name == STDIN:
        yield from ndjson(sys.stdin.buffer, "standard input")
        return
    form = csv_rows if name.lower().endswith(".csv") else ndjson
    try:
        with Path(name).open("rb") as file:
            yield from form(file, name)
    except OSError as error:
        raise Trouble(f"{name} can't be read: {error.strerror}") from error


def line(placement: Placement) -> bytes:
    """An order as a line of NDJSON; the message's id is in it when it isn't the usual one."""
    usual = placement.id == first(placement.order).id
    return orjson.dumps(placement.order if usual else {"ce_id": placement.id, **placement.order}) + b"\n"


def ndjson(file: BinaryIO, name: str) -> Iterator[Placement]:
    """One order a line, in which `ce_id` may give the message an id of its own; empty lines are skipped."""
    for number, line in _lines(file, name):
        if line.strip():
            with _at(name, number):
                source = parse(line)
                order = fields.order(source)
                found = Placement(fields.text(source, "ce_id"), order) if "ce_id" in source else first(order)
            yield found


def csv_rows(file: BinaryIO, name: str) -> Iterator[Placement]:
    """One row for each line of an order, below a row with the columns' names; an order's rows follow one another."""
    reader = csv.DictReader(_texts(file, name), strict=True)
    with _at(name, 1):
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise Bad("invalid", f"the columns {', '.join(missing)} are missing; columns are separated by commas")
    seen: set[str] = set()
    for order_id, rows in groupby(_numbered(reader, name), lambda numbered: numbered[1]["order_id"]):
        order = _joined(rows, name, seen=order_id in seen)
        seen.add(order_id)
        yield first(order)


def _joined(rows: Iterator[tuple[int, Row]], name: str, *, seen: bool) -> Order:
    """The order whose lines these rows are; there is at least one."""
    number, row = next(rows)
    with _at(name, number):
        if seen:
            raise Bad("invalid", "this order had rows further up: an order's rows must follow one another")
        whole = _one_line(row)
    for number, row in rows:
        with _at(name, number):
            part = _one_line(row)
            if {**part, "lines": []} != {**whole, "lines": []}:
                raise Bad("invalid", "customer, currency and total must be those of the order's first row")
            whole["lines"] += part["lines"]
            if len(whole["lines"]) > fields.MAX_LINES:
                raise Bad("invalid", f"an order has {fields.MAX_LINES} lines at most")
    return whole


def _one_line(row: Row) -> Order:
    currency = row["currency"]
    price = {"currency": currency, "minor": _whole(row, "unit_price_minor")}
    return fields.order(
        {
            "order_id": row["order_id"],
            "customer_id": row["customer_id"],
            "total": {"currency": currency, "minor": _whole(row, "total_minor")},
            "lines": [{"sku": row["sku"], "quantity": _whole(row, "quantity"), "unit_price": price}],
        }
    )


def _whole(row: Row, column: str) -> int:
    digits = row[column].strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise Bad("invalid", f"{column} must be a whole number")
    return int(digits)


def _numbered(reader: "csv.DictReader[str]", name: str) -> Iterator[tuple[int, Row]]:
    while True:
        with _at(name, reader.line_num + 1):
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise Bad("malformed", f"this is no CSV ({error})") from error
            if row is None:
                return
            if None in row or None in row.values():
                raise Bad("malformed", "there are not as many fields as columns")
        yield reader.line_num, row


def _texts(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in _lines(file, name):
        with _at(name, number):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise Bad("malformed", "the line is not UTF-8") from error
        yield text


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their end; a file without line ends isn't taken into memory whole."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_BYTES + 2), b""), 1):
        text = line.rstrip(b"\r\n")
        with _at(name, number):
            if len(text) > MAX_BYTES:
                raise Bad("too_large", f"the line is longer than {MAX_BYTES} bytes")
        yield number, text


@contextmanager
def _at(name: str, number: int) -> Iterator[None]:
    """Says where it was that something is wrong."""
    try:
        yield
    except Bad as bad:
        raise Trouble(f"{name}, line {number}: {bad.message}") from bad
