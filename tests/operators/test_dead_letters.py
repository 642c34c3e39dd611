"""Dead letters: selected, shown without contents, and replayed on a real Kafka, each at most once."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import OffsetSpec
from typer.testing import CliRunner, Result

from app.operators.cli import app
from app.operators.dead_letters import letter_reader
from app.operators.dead_letters.letter import BY, FROM, DeadLetter, Position
from app.operators.dead_letters.redrive import Redrive
from app.operators.dead_letters.replay_plan import Plan
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.wire.envelope import Headers
from app.wire.invalid_record import InvalidRecord
from app.wire.partition import partition_of
from app.wire.writer import MAX_DEAD_LETTER_BYTES, Origin, OutputRecord, dead_letter
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, transactional_producer, until
from topologies.__main__ import SAGAS

pytestmark = pytest.mark.broker
PARTITIONS = 2
BAD = InvalidRecord("conflict", "another order of this id was placed")
VALUE = b'{"order_id": "o-1", "secret": "\x1b[2Jann"}'


@pytest.fixture
def at(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> Iterator[Site]:
    """The saga's topics, without a pod."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as made:
        yield made


def letters(at: Site, *words: str) -> Result:
    """A command on a site's dead letters."""
    where = ("--bootstrap", at.client["bootstrap.servers"], "--prefix", at.topics.prefix, "--wait", "5")
    return CliRunner().invoke(app, ["dead-letters", *words, *where], obj=SAGAS["order"])


def bury(
    at: Site, order_id: str, value: bytes = VALUE, topic: str = "order.requests", headers: Headers = ()
) -> Position:
    """Writes a record, and its dead letter as the orchestrator does; returns the dead letter's position."""
    key, all_headers = order_id.encode(), [*said("order.place", order_id), *headers]
    number = partition_of(key, PARTITIONS)
    offset = at.send(topic, key, value[:1_000_000], all_headers, number)
    origin = Origin(at.topics.full(topic), number, offset, 1_000)
    return write(at, dead_letter(origin, key, value, all_headers, BAD))


def write(at: Site, record: OutputRecord) -> Position:
    """Writes a dead letter; returns its position."""
    number = record.partition or 0
    return Position(number, at.send(record.topic, record.key, record.value, record.headers, number))


def ends(at: Site, topic: str = "order.requests") -> int:
    """How many records and markers are in a topic."""
    admin = at.admin
    specs = {TopicPartition(at.topics.full(topic), number): OffsetSpec.latest() for number in range(PARTITIONS)}
    return sum(int(found.result(LIMIT).offset) for found in admin.list_offsets(specs).values())


def listed(at: Site, *words: str) -> list[str]:
    """The order ids that are listed."""
    result = letters(at, "list", "--json", *words)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["order_id"] for line in result.stdout.splitlines()]


def test_dead_letters_are_listed_without_contents(at: Site) -> None:
    """Where they came from, why, and how large they are; a key that is no order id is not shown either."""
    position = bury(at, "o-1")
    bury(at, "ann@example.org")
    result = letters(at, "list")
    assert (result.exit_code, result.stderr) == (0, "dead letters: 2\n")
    assert "secret" not in result.stdout
    assert "example.org" not in result.stdout
    mine = next(line for line in result.stdout.splitlines() if "\to-1\t" in line).split("\t")
    origin = f"{at.topics.full('order.requests')}[{position.partition}]@0"
    assert (mine[0], *mine[2:]) == (str(position), "conflict", origin, "o-1", str(len(VALUE)), BAD.message)


def test_filters_select(at: Site) -> None:
    """All that are given must match."""
    bury(at, "o-1", headers=[("tenant", b"north")])
    bury(at, "o-2", topic="payment.replies")
    assert sorted(listed(at)) == ["o-1", "o-2"]
    assert listed(at, "--topic", "payment.replies") == listed(at, "--order", "o-2") == ["o-2"]
    assert listed(at, "--topic", at.topics.full("payment.replies")) == ["o-2"]
    assert listed(at, "--header", "tenant=north") == ["o-1"]
    assert listed(at, "--reason", "malformed") == listed(at, "--until", "1h") == []
    assert sorted(listed(at, "--since", "1h", "--reason", "conflict")) == ["o-1", "o-2"]
    limited = letters(at, "list", "--limit", "1")
    assert len(limited.stdout.splitlines()) == 1
    assert limited.stderr == "dead letters: 2, 1 older ones not shown: see --limit\n"


def test_one_is_shown_safely_and_saved_whole(at: Site, tmp_path: Path) -> None:
    """Escape sequences don't reach the terminal; the file has the bytes, and is for its owner only."""
    position = bury(at, "o-1")
    shown = letters(at, "show", str(position)).stdout
    assert 'value: {"order_id": "o-1", "secret": "\\x1b[2Jann"}\n' in shown
    assert "header ce_type: order.place\n" in shown
    assert "\x1b" not in shown
    file = tmp_path / "value.bin"
    assert letters(at, "show", str(position), "--raw", str(file)).exit_code == 0
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (VALUE, 0o600)
    again = letters(at, "show", str(position), "--raw", str(file))
    assert (again.exit_code, again.stderr) == (1, f"error: {file} can't be written: File exists\n")
    none = letters(at, "show", "1:77")
    assert (none.exit_code, "no committed dead letter at 1:77" in none.stderr) == (1, True)


def test_without_yes_nothing_is_written(at: Site) -> None:
    """What would be sent is printed; and nobody replays everything by mistake."""
    position = bury(at, "o-1")
    before = ends(at)
    planned = letters(at, "replay", "--order", "o-1")
    target = f"{at.topics.full('order.requests')}[{position.partition}]"
    assert planned.stdout == f"would send  {position} (conflict, o-1, {len(VALUE)} bytes) to {target}\n"
    assert planned.exit_code == 0
    assert letters(at, "replay", "--yes").exit_code == 2
    assert ends(at) == before


def test_a_dead_letter_is_replayed_once(at: Site) -> None:
    """Key, value and headers as they came, with marks; the second time it is found, also with others."""
    position = bury(at, "o-1", headers=[("tenant", b"north"), ("empty", None)])
    assert letters(at, "replay", str(position), "--yes", "--operator", "olga").exit_code == 0
    _, replayed = at.read("order.requests", position.partition)
    mark = f"{at.topics.full('saga.dead-letters')}[{position.partition}]@{position.offset}".encode()
    kept = [*said("order.place", "o-1"), ("tenant", b"north"), ("empty", None)]
    assert (replayed.key(), replayed.value()) == (b"o-1", VALUE)
    assert replayed.headers() == [*kept, (FROM, mark), (BY, b"olga")]
    bury(at, "o-2")
    again = letters(at, "replay", "--all", "--yes")
    assert (again.exit_code, again.stderr) == (0, "replayed: 1, replayed already: 1, refused: 0\n")
    assert f"{at.topics.full('order.requests')}[{position.partition}]@1" in again.stdout
    assert letters(at, "replay", "--all", "--yes").stderr == "replayed: 0, replayed already: 2, refused: 0\n"


def test_what_was_taken_back_is_no_replay(at: Site) -> None:
    """A record of an aborted transaction doesn't count as one."""
    position = bury(at, "o-1")
    topic = at.topics.full("order.requests")
    mark = f"{at.topics.full('saga.dead-letters')}[{position.partition}]@{position.offset}"
    producer = transactional_producer(at.client["bootstrap.servers"], f"{at.topics.prefix}other")
    producer.begin_transaction()
    producer.produce(topic, VALUE, b"o-1", position.partition, headers=[(FROM, mark.encode())])
    assert producer.flush(LIMIT) == 0
    blocked = letters(at, "replay", "--all", "--yes", "--wait", "1")
    assert (blocked.exit_code, "nothing is replayed" in blocked.stderr) == (1, True)
    producer.abort_transaction(LIMIT)
    assert letters(at, "replay", "--all", "--yes").stderr.startswith("replayed: 1, ")


def test_what_can_not_be_replayed_is_refused(at: Site) -> None:
    """Each with its reason; the others are replayed all the same."""
    bury(at, "o-1", b"x" * (MAX_DEAD_LETTER_BYTES + 1))
    stranger = Origin("elsewhere", 0, 0, 0)
    write(at, dead_letter(stranger, b"o-2", VALUE, [], BAD))
    at.send("saga.dead-letters", b"o-3", VALUE)
    bury(at, "o-4")
    result = letters(at, "replay", "--all", "--yes")
    assert (result.exit_code, result.stderr) == (1, "replayed: 1, replayed already: 0, refused: 3\n")
    for sentence in ("it is truncated: ", "elsewhere, which is no input of this saga", "don't say where it came from"):
        assert sentence in result.stdout


def test_a_replay_that_fails_is_not_replayed_by_filters(at: Site) -> None:
    """Else each repetition would add a dead letter; by its position it is replayed, with a mark of its own."""
    first = bury(at, "o-1")
    letters(at, "replay", "--all", "--yes")
    _, replayed = at.read("order.requests", first.partition)
    origin = Origin(replayed.topic(), replayed.partition(), replayed.offset(), 2_000)
    second = write(at, dead_letter(origin, b"o-1", VALUE, replayed.headers(), BAD))
    assert letters(at, "replay", "--all", "--yes").stderr == "replayed: 0, replayed already: 1, refused: 1\n"
    assert letters(at, "replay", str(second), "--yes").exit_code == 0
    marks = [value for name, value in at.read("order.requests", first.partition)[-1].headers() if name == FROM]
    assert marks == [f"{at.topics.full('saga.dead-letters')}[{second.partition}]@{second.offset}".encode()]


def test_lost_records_make_a_replay_doubtful(at: Site) -> None:
    """An earlier replay may have been among what retention has deleted: then it is refused."""
    position = bury(at, "o-1")
    number = position.partition
    at.send("order.requests", b"o-1", b"{}", [], number)
    admin = at.admin
    partition = TopicPartition(at.topics.full("order.requests"), number, 2)
    for deleted in admin.delete_records([partition]).values():
        deleted.result(LIMIT)
    result = letters(at, "replay", str(position), "--yes")
    assert (result.exit_code, "nobody can know whether it was replayed" in result.stdout) == (1, True)


def test_of_two_replays_at_once_only_one_counts(at: Site) -> None:
    """The later one fences the earlier one, whatever that had found before."""
    position = bury(at, "o-1")
    cluster = KafkaCluster(at.client["bootstrap.servers"], at.topics.prefix)
    (letter,) = letter_reader.at(cluster, [position], LIMIT)
    early = Redrive(cluster, "early")
    early.begin()
    assert letters(at, "replay", "--all", "--yes").exit_code == 0
    with pytest.raises(CommandFailed, match="another replay began meanwhile"):
        early.send([_planned(letter)], lambda _: pytest.fail("it is not written"))
    assert len(at.read("order.requests", position.partition)) == 2


def _planned(letter: DeadLetter) -> Plan:
    assert letter.origin is not None
    return Plan(letter, (letter.origin.topic, letter.origin.partition))


def test_a_pod_takes_a_replayed_record_in(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """An operation for an order that was not known yet: replayed later, it is decided, and leaves no lag."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at:
        at.running()
        number = partition_of(b"o-1", PARTITIONS)
        value = b'{"order_id": "o-1", "operator": "olga", "reason": "test"}'
        at.send("saga.operations", b"o-1", value, said("saga.retry", "op-1"), number)
        until(lambda: listed(at, "--reason", "unknown_order") == ["o-1"], "the dead letter")
        at.send("order.requests", b"o-1", placed("o-1"), said("order.place", "o-1"), number)
        until(lambda: bool(at.decisions(number)), "the order to be known")
        assert letters(at, "replay", "--order", "o-1", "--yes").stderr.startswith("replayed: 1, ")
        until(lambda: len(at.decisions(number)) == 2, "the operation to be decided")
        assert at.decisions(number)[-1]["cause"]["id"] == "op-1"
        where = ("--bootstrap", kafka_bootstrap, "--prefix", topic_prefix)
        no_lag = ["lag", "--fail-over", "0", *where]
        until(lambda: CliRunner().invoke(app, no_lag, obj=SAGAS["order"]).exit_code == 0, "no lag")
