"""Orders from NDJSON and CSV files; an error names the file and the line."""

from pathlib import Path

import orjson
import pytest

from app.ops.errors import CommandFailed
from app.samples.shop import order_files
from app.samples.shop.orders import OrderMix, placements

HEAD = "order_id,customer_id,currency,total_minor,sku,quantity,unit_price_minor\n"
GOOD = next(order_files.line(each) for each in placements(1, seed=1))


def written(folder: Path, name: str, content: str | bytes) -> str:
    """Writes a file; returns its path."""
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def problem(name: str) -> str:
    """The error in a file, without the name of its folder."""
    with pytest.raises(CommandFailed) as found:
        list(order_files.read(name))
    return str(found.value).removeprefix(str(Path(name).parent) + "/")


def test_generated_orders_are_read_back(tmp_path: Path) -> None:
    """With their message ids, duplicates too."""
    given = list(placements(200, 5, OrderMix(declined=0.1, duplicates=0.3)))
    name = written(tmp_path, "orders.ndjson", b"\n".join(map(order_files.line, given)))
    assert list(order_files.read(name)) == given


def test_csv_rows_make_orders(tmp_path: Path) -> None:
    """Adjacent rows with one order id are its lines, in order; further columns are ignored."""
    rows = "o-1,c-1,EUR,700,A,2,100,x\no-1,c-1,EUR,700,B,1,500,\no-2,c-2,JPY,90,A,1,90,y\n"
    name = written(tmp_path, "orders.CSV", "\ufeff" + HEAD.strip() + ",note\r\n" + rows)
    first, second = order_files.read(name)
    assert first.id == "o-1:place"
    assert first.order == {
        "order_id": "o-1",
        "customer_id": "c-1",
        "total": {"currency": "EUR", "minor": 700},
        "lines": [
            {"sku": "A", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 100}},
            {"sku": "B", "quantity": 1, "unit_price": {"currency": "EUR", "minor": 500}},
        ],
    }
    assert (second.order["order_id"], second.order["total"]) == ("o-2", {"currency": "JPY", "minor": 90})


def test_an_empty_file_holds_no_orders(tmp_path: Path) -> None:
    """Nor does a CSV file with column names only."""
    assert list(order_files.read(written(tmp_path, "a.ndjson", b"\n \n"))) == []
    assert list(order_files.read(written(tmp_path, "a.csv", HEAD))) == []


@pytest.mark.parametrize(
    ("line", "message"),
    (
        (b"{", "the value is not JSON in UTF-8"),
        (b"[]", "the value is not a JSON object"),
        (b"{}", "lines must be a list of 1 to 500"),
        (GOOD.replace(b'"quantity":1', b'"quantity":1.0'), "quantity must be an integer from 1 to 1000000"),
        (GOOD.replace(b"o-1-", b"o 1 "), "order_id must match [A-Za-z0-9._-]{1,128}"),
        (GOOD.replace(b"{", b'{"ce_id":7,', 1), "ce_id must be a string of at most 1024 characters"),
        (GOOD.replace(b"c-1", b"\xff-1"), "the value is not JSON in UTF-8"),
        (b" " * 70_000 + GOOD, "the line is longer than 65536 bytes"),
    ),
)
def test_an_invalid_line_of_json_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    """By file, line and one sentence."""
    name = written(tmp_path, "orders.ndjson", GOOD + b"\n" + line + b"\n" + GOOD)
    assert problem(name) == f"orders.ndjson, line 3: {message}"


@pytest.mark.parametrize(
    ("rows", "number", "message"),
    (
        ("o-1,c-1,EUR,x,A,1,1\n", 2, "total_minor must be a whole number"),
        ("o-1,c-1,EUR,1,A,1,1\no-1,c-1,EUR,1,A,-1,1\n", 3, "quantity must be a whole number"),
        ("o-1,c-1,EUR,1,A,0,1\n", 2, "quantity must be an integer from 1 to 1000000"),
        ("o-1,c-1,Euro,1,A,1,1\n", 2, "the currency of total must be three capital letters"),
        ("o-1,c-1,EUR,1,A,1\n", 2, "the number of fields differs from the number of columns"),
        ("o-1,c-1,EUR,1,A,1,1,1\n", 2, "the number of fields differs from the number of columns"),
        (
            "o-1,c-1,EUR,1,A,1,1\no-1,c-2,EUR,1,A,1,1\n",
            3,
            "customer, currency and total must be those of the order's first row",
        ),
        (
            "o-1,c-1,EUR,1,A,1,1\no-2,c-1,EUR,1,A,1,1\no-1,c-1,EUR,1,A,1,1\n",
            4,
            "this order had rows further up: an order's rows must be adjacent",
        ),
        ("o-1,c-1,EUR,1,A,1,1\n" * 501, 502, "an order has at most 500 lines"),
        ('o-1,"c-1\nx\ny,EUR,1,A,1,1\n', 2, "this is not CSV (unexpected end of data)"),
    ),
)
def test_an_invalid_row_is_named(tmp_path: Path, rows: str, number: int, message: str) -> None:
    """By file, line and one sentence."""
    assert problem(written(tmp_path, "orders.csv", HEAD + rows)) == f"orders.csv, line {number}: {message}"


def test_csv_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    """By the first line that can't be decoded."""
    content = HEAD.encode() + b"o-1,c-1,EUR,1,A,1,1\n" + "o-2,c-Jürgen,EUR,1,A,1,1\n".encode("latin-1")
    assert problem(written(tmp_path, "orders.csv", content)) == "orders.csv, line 3: the line is not UTF-8"


def test_missing_columns_are_named(tmp_path: Path) -> None:
    """A file with another separator has one long column name."""
    message = problem(written(tmp_path, "orders.csv", HEAD.replace(",", ";")))
    assert message.startswith("orders.csv, line 1: the columns order_id, customer_id, ")
    assert message.endswith("are missing; separate columns by commas")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A folder in its place is named too."""
    assert problem(str(tmp_path / "orders.csv")) == "orders.csv can't be read: No such file or directory"
    with pytest.raises(CommandFailed, match="Is a directory"):
        list(order_files.read(str(tmp_path)))


def test_an_error_contains_no_data(tmp_path: Path) -> None:
    """Errors may be logged, so they don't repeat the line."""
    order = orjson.loads(GOOD) | {"customer_id": "jane@example.com" * 100}
    assert "jane" not in problem(written(tmp_path, "orders.ndjson", orjson.dumps(order)))
