"""The lag of the orchestrator's group: what follows from offsets, and offsets of a real Kafka."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from app.operators.cli import app
from app.operators.lag import lag_output
from app.operators.lag.partition_lag import PartitionLag, TotalLag, total
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, transactional_producer, until
from topologies.__main__ import SAGAS

BEHIND = PartitionLag("order.requests", 1, 5, 0, 12, 15, "saga-orchestrator.pod@127.0.0.1", 1_000)
NOW_MS = 4_500


def lag(at: Site, *words: str) -> Result:
    """The command on a site's topics."""
    where = ("--bootstrap", at.client["bootstrap.servers"], "--prefix", at.topics.prefix)
    return CliRunner().invoke(app, ["lag", *where, *words], obj=SAGAS["order"])


def measured(at: Site) -> dict[str, Any]:
    """What programs get."""
    result = lag(at, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def requests_of(document: dict[str, Any]) -> dict[str, Any]:
    """Partition 0 of the requests."""
    return next(each for each in document["partitions"] if (each["topic"], each["partition"]) == ("order.requests", 0))


@pytest.mark.parametrize(
    ("changed", "expected"),
    (
        ({}, (7, 3, 0, 3.5)),
        ({"committed": 12}, (0, 3, 0, 0.0)),
        ({"committed": None}, (12, 3, 0, 3.5)),
        ({"committed": None, "first": 4}, (8, 3, 0, 3.5)),
        ({"first": 9}, (3, 3, 4, 3.5)),
        ({"markers_only": True}, (0, 3, 0, 0.0)),
        ({"oldest_ms": None}, (7, 3, 0, None)),
        ({"oldest_ms": 9_000}, (7, 3, 0, 0.0)),
        ({"end": 12}, (7, 0, 0, 3.5)),
    ),
)
def test_lag_follows_from_the_offsets(changed: dict[str, Any], expected: tuple[object, ...]) -> None:
    """The lag, what is held back, what retention deleted before it was decided, and the age of the oldest record."""
    found = replace(BEHIND, **changed)
    assert (found.lag, found.held_back, found.deleted, found.seconds(NOW_MS)) == expected


def test_the_total_is_as_old_as_the_oldest_record() -> None:
    """Its age is unknown when that of a part is."""
    younger, done = replace(BEHIND, oldest_ms=4_000), replace(BEHIND, committed=12, oldest_ms=None)
    assert total((younger, BEHIND, done), NOW_MS) == TotalLag(14, 9, 3.5)
    assert total((BEHIND, replace(BEHIND, oldest_ms=None)), NOW_MS).seconds is None
    assert total((), NOW_MS) == TotalLag(0, 0, 0.0)


def test_people_get_a_table_and_pipes_get_cells() -> None:
    """With a line of totals; what a member calls itself can't reach the terminal unescaped."""
    evil = replace(BEHIND, committed=None, owner="\x1b[2J@h", oldest_ms=None)
    lines = lag_output.lines([BEHIND, evil], NOW_MS)
    assert lines[1].split("\t") == ["order.requests", "1", "5", "12", "15", "7", "3", "3.5", BEHIND.owner]
    assert lines[2].split("\t") == ["order.requests", "1", "-", "12", "15", "12", "3", "?", "\\x1b[2J@h"]
    assert lines[-1].split("\t")[5:8] == ["19", "6", "?"]
    console = Console(width=160, record=True)
    console.print(lag_output.table([BEHIND, evil], NOW_MS))
    assert "\x1b[2J" not in console.export_text(clear=False)
    assert "saga-orchestrator.pod" in console.export_text()


@pytest.mark.broker
def test_without_a_pod_all_orders_are_lag(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """An alert can be made of it, also while watching."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        for number in range(3):
            at.place(f"o-{number}")
        found = measured(at)
        first = requests_of(found)
        assert (first["committed"], first["last_stable"], first["lag"], first["owner"]) == (None, 3, 3, None)
        assert first["seconds"] is not None
        assert found["total"]["lag"] == 3
        assert found["group"] == at.group
        assert [lag(at, "--fail-over", text).exit_code for text in ("2", "3")] == [1, 0]
        watched = lag(at, "--watch", "0.2", "--fail-over", "0", "--json")
        assert (watched.exit_code, len(watched.stdout.splitlines())) == (1, 1)


@pytest.mark.broker
def test_a_pod_has_no_lag_when_idle(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The member that owns a partition is named; the marker behind an aborted transaction is no lag."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running("pod-1")
        at.place("o-1")
        stranger = transactional_producer(kafka_bootstrap, f"{topic_prefix}stranger")
        stranger.begin_transaction()
        stranger.produce(at.topics.full("order.requests"), placed("o-2"), b"o-2", 0, headers=said("order.place", "2"))
        assert stranger.flush(LIMIT) == 0
        assert requests_of(measured(at))["held_back"] == 1
        stranger.abort_transaction(LIMIT)
        until(lambda: measured(at)["total"] == {"lag": 0, "held_back": 0, "seconds": 0.0}, "no lag")
        found = requests_of(measured(at))
        assert (found["lag"], found["held_back"], found["high_watermark"]) == (0, 0, 3)
        assert found["owner"].startswith(f"{at.group}.pod-1@")


@pytest.mark.broker
def test_transaction_markers_alone_are_no_lag(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Also when nobody has read past them."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        stranger = transactional_producer(kafka_bootstrap, f"{topic_prefix}stranger")
        stranger.begin_transaction()
        stranger.produce(at.topics.full("order.requests"), b"{}", b"o-1", 0)
        assert stranger.flush(LIMIT) == 0
        stranger.abort_transaction(LIMIT)
        until(lambda: requests_of(measured(at))["last_stable"] == 2, "the abort to be written")
        assert requests_of(measured(at))["lag"] == 0


def test_brokers_that_are_away_are_reported() -> None:
    """In one sentence, within the time that was given."""
    begun = time.monotonic()
    result = CliRunner().invoke(app, ["lag", "--wait", "1", "--bootstrap", "127.0.0.1:1"], obj=SAGAS["order"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: no Kafka answers at 127.0.0.1:1: ")
    assert time.monotonic() - begun < 10
