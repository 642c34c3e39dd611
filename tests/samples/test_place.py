"""Orders placed on a real Kafka, and what is said when that can't be."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from app.saga.messages import Cancel, Place
from app.samples import files
from app.samples.cli import app
from app.samples.hostile import hostile
from app.samples.orders import Shares, placements
from app.wire.partition import partition_of
from app.wire.reader import Reader, Received
from tests.samples.wire import PARTITIONS, Seen, Wire
from topologies.order import ORDER

pytestmark = pytest.mark.broker


def saga(wire: Wire, *words: str, given: bytes = b"") -> tuple[int, str]:
    """Exit code and standard error of a command."""
    where = ("--bootstrap", wire.site.bootstrap, "--prefix", wire.site.prefix)
    result = CliRunner().invoke(app, [*words, *where], input=given)
    return result.exit_code, result.stderr


def read(seen: Seen) -> Received:
    """A record as the orchestrator reads it."""
    return Reader(ORDER).read("order.requests", seen.key, seen.value, seen.headers)


def test_the_orders_of_a_file_are_placed(wire: Wire, tmp_path: Path) -> None:
    """The orchestrator can read each one, with its id, in the partition that the contract has for its key."""
    given = list(placements(100, 3, Shares(duplicates=0.1)))
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(map(files.line, given)))
    assert saga(wire, "place", str(file)) == (0, "Orders placed: 110\n")
    seen = wire.everything("order.requests")
    assert sorted(read(each).id for each in seen) == sorted(each.id for each in given)
    orders = {each.order["order_id"]: each.order for each in given}
    for each in seen:
        received = read(each)
        assert isinstance(received.given, Place)
        assert received.given.order == orders[received.saga_id]
        assert each.partition == partition_of(received.saga_id.encode(), PARTITIONS)
        assert each.header("ce_specversion") == "1.0"
        assert each.header("ce_source") == "/shop"


def test_a_csv_file_is_placed(wire: Wire, tmp_path: Path) -> None:
    """As NDJSON, and placed again it is the same message."""
    file = tmp_path / "orders.csv"
    file.write_text(",".join(files.COLUMNS) + "\no-1,c-1,EUR,700,A,2,100\no-1,c-1,EUR,700,B,1,500\n", "utf-8")
    for _ in range(2):
        assert saga(wire, "place", str(file)) == (0, "Orders placed: 1\n")
    first, second = wire.everything("order.requests")
    assert read(first) == read(second)


def test_a_file_with_a_mistake_places_nothing(wire: Wire, tmp_path: Path) -> None:
    """Not even the orders before the mistake."""
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(files.line(each) for each in placements(3, 1)) + b"{}\n")
    code, said = saga(wire, "place", str(file))
    assert (code, said.startswith(f"error: {file}, line 4: ")) == (1, True)
    assert wire.everything("order.requests") == []


def test_a_stream_is_placed_up_to_its_mistake(wire: Wire) -> None:
    """Standard input can't be read twice: what was placed before is said."""
    lines = b"".join(files.line(each) for each in placements(3, 1))
    code, said = saga(wire, "place", "-", "--rate", "1000", given=lines + b"{}\n")
    assert code == 1
    assert said.startswith("Orders placed: 3\nerror: standard input, line 4: ")
    assert len(wire.everything("order.requests")) == 3


def test_hostile_records_come_between_the_orders(wire: Wire, tmp_path: Path) -> None:
    """So many as asked for, as they are, beside all orders."""
    file = tmp_path / "orders.ndjson"
    file.write_bytes(b"".join(files.line(each) for each in placements(30, 1)))
    assert saga(wire, "place", str(file), "--hostile", "50")[0] == 0
    seen = wire.everything("order.requests")
    guests = [(each.key, each.value, each.headers) for each in hostile(50, seed=0)]
    assert len(seen) == 80
    assert [each for each in guests if each not in [(one.key, one.value, one.headers) for one in seen]] == []


def test_a_cancel_is_sent(wire: Wire) -> None:
    """Each is a message of its own; one that no orchestrator could read is not sent."""
    for _ in range(2):
        assert saga(wire, "cancel", "o-1", "--reason", "changed my mind") == (0, "Asked for o-1 to be cancelled\n")
    received = [read(each) for each in wire.everything("order.requests")]
    assert {each.saga_id for each in received} == {"o-1"}
    assert {each.given.reason for each in received if isinstance(each.given, Cancel)} == {"changed my mind"}
    assert len({each.id for each in received}) == 2
    code, said = saga(wire, "cancel", "my order", "--reason", "x")
    assert (code, said) == (1, "error: order_id must match [A-Za-z0-9._-]{1,128}\n")


@pytest.mark.parametrize("words", (("place", "FILE"), ("cancel", "o-1", "--reason", "x"), ("serve", "payment")))
def test_a_missing_topic_is_named(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """With what to do about it; nothing is created by asking."""
    (tmp_path / "orders.ndjson").write_bytes(b"".join(files.line(each) for each in placements(1, 1)))
    given = [str(tmp_path / "orders.ndjson") if word == "FILE" else word for word in words]
    ledger = ("--ledger", str(tmp_path / "p")) if words[0] == "serve" else ()
    result = CliRunner().invoke(app, [*given, "--bootstrap", kafka_bootstrap, "--prefix", topic_prefix, *ledger])
    assert result.exit_code == 1
    assert f"has no topic {topic_prefix}" in result.stderr
    assert "create it first, or set another --prefix" in result.stderr
    there = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=60).topics
    assert [name for name in there if name.startswith(topic_prefix)] == []
