"""Orders placed on a real Kafka, and the sentences when they can't be placed."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from app.saga.messages import Cancel, Place
from app.samples.cli import app
from app.samples.shop import order_files
from app.samples.shop.invalid_orders import invalid_orders
from app.samples.shop.orders import OrderMix, placements
from app.wire.partition import partition_of
from app.wire.reader import Reader, Received
from tests.samples.wire import PARTITIONS, ReadRecord, Wire
from topologies.order import ORDER

pytestmark = pytest.mark.broker


def saga(wire: Wire, *words: str, stdin: bytes = b"") -> tuple[int, str]:
    """Exit code and standard error of a command."""
    options = ("--bootstrap", wire.cluster.bootstrap, "--prefix", wire.cluster.prefix)
    result = CliRunner().invoke(app, [*words, *options], input=stdin)
    return result.exit_code, result.stderr


def read(record: ReadRecord) -> Received:
    """A record as the orchestrator reads it."""
    return Reader(ORDER).read("order.requests", record.key, record.value, record.headers)


def test_the_orders_of_a_file_are_placed(wire: Wire, tmp_path: Path) -> None:
    """The orchestrator can read each, with its message id, in the partition that the contract assigns to its key."""
    given = list(placements(100, 3, OrderMix(duplicates=0.1)))
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(map(order_files.line, given)))
    assert saga(wire, "place", str(file)) == (0, "Orders placed: 110\n")
    records = wire.everything("order.requests")
    assert sorted(read(each).id for each in records) == sorted(each.id for each in given)
    orders = {each.order["order_id"]: each.order for each in given}
    for each in records:
        received = read(each)
        assert isinstance(received.given, Place)
        assert received.given.order == orders[received.saga_id]
        assert each.partition == partition_of(received.saga_id.encode(), PARTITIONS)
        assert each.header("ce_specversion") == "1.0"
        assert each.header("ce_source") == "/shop"


def test_a_csv_file_is_placed(wire: Wire, tmp_path: Path) -> None:
    """A second time, too, which repeats the same message."""
    file = tmp_path / "orders.csv"
    file.write_text(",".join(order_files.COLUMNS) + "\no-1,c-1,EUR,700,A,2,100\no-1,c-1,EUR,700,B,1,500\n", "utf-8")
    for _ in range(2):
        assert saga(wire, "place", str(file)) == (0, "Orders placed: 1\n")
    first, second = wire.everything("order.requests")
    assert read(first) == read(second)


def test_a_file_with_an_error_places_nothing(wire: Wire, tmp_path: Path) -> None:
    """Not even the orders before the error."""
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(order_files.line(each) for each in placements(3, 1)) + b"{}\n")
    code, printed = saga(wire, "place", str(file))
    assert (code, printed.startswith(f"error: {file}, line 4: ")) == (1, True)
    assert wire.everything("order.requests") == []


def test_a_stream_is_placed_up_to_its_error(wire: Wire) -> None:
    """Standard input can't be read twice, so that the orders before the error are placed and counted."""
    lines = b"".join(order_files.line(each) for each in placements(3, 1))
    code, printed = saga(wire, "place", "-", "--rate", "1000", stdin=lines + b"{}\n")
    assert code == 1
    assert printed.startswith("Orders placed: 3\nerror: standard input, line 4: ")
    assert len(wire.everything("order.requests")) == 3


def test_invalid_records_come_between_the_orders(wire: Wire, tmp_path: Path) -> None:
    """As many as `--hostile` says, unchanged, beside all orders."""
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(order_files.line(each) for each in placements(30, 1)))
    assert saga(wire, "place", str(file), "--hostile", "50")[0] == 0
    records = wire.everything("order.requests")
    invalid = [(each.key, each.value, each.headers) for each in invalid_orders(50, seed=0)]
    assert len(records) == 80
    assert [each for each in invalid if each not in [(one.key, one.value, one.headers) for one in records]] == []


def test_a_cancel_is_sent(wire: Wire) -> None:
    """Each call is a message of its own; an invalid cancel is not sent."""
    for _ in range(2):
        assert saga(wire, "cancel", "o-1", "--reason", "changed my mind") == (0, "Cancel of o-1 requested\n")
    received = [read(each) for each in wire.everything("order.requests")]
    assert {each.saga_id for each in received} == {"o-1"}
    assert {each.given.reason for each in received if isinstance(each.given, Cancel)} == {"changed my mind"}
    assert len({each.id for each in received}) == 2
    code, printed = saga(wire, "cancel", "my order", "--reason", "x")
    assert (code, printed) == (1, "error: order_id must match [A-Za-z0-9._-]{1,128}\n")


@pytest.mark.parametrize("words", (("place", "FILE"), ("cancel", "o-1", "--reason", "x"), ("serve", "payment")))
def test_a_missing_topic_is_named(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """In a sentence that says what to do; the command creates no topic."""
    (tmp_path / "orders.ndjson").write_bytes(b"".join(order_files.line(each) for each in placements(1, 1)))
    arguments = [str(tmp_path / "orders.ndjson") if word == "FILE" else word for word in words]
    ledger = ("--ledger", str(tmp_path / "p")) if words[0] == "serve" else ()
    result = CliRunner().invoke(app, [*arguments, "--bootstrap", kafka_bootstrap, "--prefix", topic_prefix, *ledger])
    assert result.exit_code == 1
    assert f"has no topic {topic_prefix}" in result.stderr
    assert "create it first, or set another --prefix" in result.stderr
    existing = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=60).topics
    assert [name for name in existing if name.startswith(topic_prefix)] == []
