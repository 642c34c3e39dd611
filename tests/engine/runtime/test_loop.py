"""The loop: which partitions a batch takes, how many transactions are open, and when garbage is collected."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.engine.meters import Meters
from app.engine.runtime import loop as engine_loop
from app.engine.runtime.batch import BatchContext
from app.engine.runtime.loop import Loop
from app.wire.partition import partition_of
from tests.benchmarks.in_process_pod import in_process_pod as inside
from tests.benchmarks.in_process_pod import load
from tests.benchmarks.workspace import PARTITIONS


def make_loop(producers: list[Any]) -> Loop:
    """A loop without partitions."""
    unused = cast("Any", SimpleNamespace(meters=Meters()))
    return Loop(unused, unused, producers, BatchContext(str, ""), unused, lambda: 0, 100)


def test_a_batch_takes_one_of_four_partitions_in_turn(tmp_path: Path) -> None:
    """A transaction over all of them would take so long that new records would wait twice."""
    batches = []
    with inside(tmp_path) as pod:
        pod.feed(load("orders", 40)[0])
        for _ in range(PARTITIONS):
            pod._loop.run_once(pod._executors)
            batches.append({partition_of(key, PARTITIONS) for _, key, _, _ in pod.take_written()})
    assert [len(batch) for batch in batches] == [1] * PARTITIONS
    assert set().union(*batches) == set(range(PARTITIONS))


def test_half_of_the_producers_rest() -> None:
    """After a commit, the broker delays the next transaction of the same id for a while."""
    producers = [object() for _ in range(4)]
    loop, has_producer = make_loop(producers), []
    for producer in producers:
        has_producer.append(loop._has_producer())
        loop._committing[cast("Any", producer)] = []
    assert has_producer == [True, True, False, False]


def test_the_young_generation_is_collected_every_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collection of everything would delay an order by a tenth of a second: once an hour is enough."""
    generations: list[int] = []
    monkeypatch.setattr(engine_loop, "gc", SimpleNamespace(collect=lambda generation=2: generations.append(generation)))
    loop = make_loop([object()])
    start = loop._collected
    for seconds in (0.5, 1.5, 2.0, 3.0, 3700.0, 3700.5, 3701.5):
        loop._collect_garbage(start + seconds)
    assert generations == [0, 0, 2, 0]
