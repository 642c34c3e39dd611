"""Orders in files: one JSON object per line (NDJSON), or CSV with one row for each line of an order."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import orjson

from app.ops.errors import CommandFailed
from app.saga.messages import Order
from app.samples.shop.orders import Placement, first_placement
from app.wire import fields
from app.wire.invalid_record import InvalidRecord
from app.wire.strict_json import MAX_BYTES, parse

STDIN = "-"
COLUMNS = ("order_id", "customer_id", "currency", "total_minor", "sku", "quantity", "unit_price_minor")

Row = dict[str, str]


def read(name: str) -> Iterator[Placement]:
    """The orders of a file: CSV if its name ends in .csv, else NDJSON; `-` reads NDJSON from standard input.

    Raises CommandFailed, with file and line, at the first invalid line.
    """
    if name == STDIN:
        yield from ndjson(sys.stdin.buffer, "standard input")
        return
    parse_file = csv_rows if name.lower().endswith(".csv") else ndjson
    try:
        with Path(name).open("rb") as file:
            yield from parse_file(file, name)
    except OSError as error:
        raise CommandFailed(f"{name} can't be read: {error.strerror}") from error


def line(placement: Placement) -> bytes:
    """A placement as a line of NDJSON, with the message id in `ce_id` unless it is that of the first placement."""
    is_first = placement.id == first_placement(placement.order).id
    return orjson.dumps(placement.order if is_first else {"ce_id": placement.id, **placement.order}) + b"\n"


def ndjson(file: BinaryIO, name: str) -> Iterator[Placement]:
    """One order per line, with an optional message id in `ce_id`; empty lines are skipped."""
    for number, line in _lines(file, name):
        if line.strip():
            with _at(name, number):
                source = parse(line)
                order = fields.order(source)
                own_id = "ce_id" in source
                placement = Placement(fields.text(source, "ce_id"), order) if own_id else first_placement(order)
            yield placement


def csv_rows(file: BinaryIO, name: str) -> Iterator[Placement]:
    """One row for each line of an order, below a row with the column names; an order's rows are adjacent."""
    reader = csv.DictReader(_texts(file, name), strict=True)
    with _at(name, 1):
        missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
        if missing:
            raise InvalidRecord("invalid", f"the columns {', '.join(missing)} are missing; separate columns by commas")
    seen: set[str] = set()
    for order_id, rows in groupby(_numbered(reader, name), lambda numbered: numbered[1]["order_id"]):
        order = _order_of(rows, name, seen=order_id in seen)
        seen.add(order_id)
        yield first_placement(order)


def _order_of(rows: Iterator[tuple[int, Row]], name: str, *, seen: bool) -> Order:
    """The order of these rows, at least one; `seen` if earlier rows, not adjacent, had the same order id."""
    number, row = next(rows)
    with _at(name, number):
        if seen:
            raise InvalidRecord("invalid", "this order had rows further up: an order's rows must be adjacent")
        order = _order_with_one_line(row)
    for number, row in rows:
        with _at(name, number):
            part = _order_with_one_line(row)
            if {**part, "lines": []} != {**order, "lines": []}:
                raise InvalidRecord("invalid", "customer, currency and total must be those of the order's first row")
            order["lines"] += part["lines"]
            if len(order["lines"]) > fields.MAX_LINES:
                raise InvalidRecord("invalid", f"an order has at most {fields.MAX_LINES} lines")
    return order


def _order_with_one_line(row: Row) -> Order:
    currency = row["currency"]
    price = {"currency": currency, "minor": _integer(row, "unit_price_minor")}
    return fields.order(
        {
            "order_id": row["order_id"],
            "customer_id": row["customer_id"],
            "total": {"currency": currency, "minor": _integer(row, "total_minor")},
            "lines": [{"sku": row["sku"], "quantity": _integer(row, "quantity"), "unit_price": price}],
        }
    )


def _integer(row: Row, column: str) -> int:
    digits = row[column].strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise InvalidRecord("invalid", f"{column} must be a whole number")
    return int(digits)


def _numbered(reader: "csv.DictReader[str]", name: str) -> Iterator[tuple[int, Row]]:
    while True:
        with _at(name, reader.line_num + 1):
            try:
                row = next(reader, None)
            except csv.Error as error:
                raise InvalidRecord("malformed", f"this is not CSV ({error})") from error
            if row is None:
                return
            if None in row or None in row.values():
                raise InvalidRecord("malformed", "the number of fields differs from the number of columns")
        yield reader.line_num, row


def _texts(file: BinaryIO, name: str) -> Iterator[str]:
    for number, line in _lines(file, name):
        with _at(name, number):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InvalidRecord("malformed", "the line is not UTF-8") from error
        yield text


def _lines(file: BinaryIO, name: str) -> Iterator[tuple[int, bytes]]:
    """Numbered lines without their line ends; a file that is one long line isn't read into memory."""
    for number, line in enumerate(iter(lambda: file.readline(MAX_BYTES + 2), b""), 1):
        text = line.rstrip(b"\r\n")
        with _at(name, number):
            if len(text) > MAX_BYTES:
                raise InvalidRecord("too_large", f"the line is longer than {MAX_BYTES} bytes")
        yield number, text


@contextmanager
def _at(name: str, number: int) -> Iterator[None]:
    """Raises CommandFailed, with file and line, in place of InvalidRecord."""
    try:
        yield
    except InvalidRecord as bad:
        raise CommandFailed(f"{name}, line {number}: {bad.message}") from bad
