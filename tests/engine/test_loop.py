"""The loop's turns: which partitions a batch takes, how many transactions are open, and when memory is tidied up."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.engine import loop as engine_loop
from app.engine.batch import BatchContext
from app.engine.loop import Loop
from app.wire.partition import partition_of
from tests.benchmarks.inside import inside, load
from tests.benchmarks.site import PARTITIONS


def looping(lanes: list[Any]) -> Loop:
    """A loop that owns nothing."""
    nobody = cast("Any", SimpleNamespace())
    return Loop(nobody, nobody, lanes, BatchContext(str, ""), None, lambda: 0, nobody, 100)


def test_a_batch_takes_one_of_four_partitions_in_turn(tmp_path: Path) -> None:
    """A transaction of all of them is sent for so long that what came meanwhile waits twice."""
    batches = []
    with inside(tmp_path) as pod:
        pod.feed(load("orders", 40)[0])
        for _ in range(PARTITIONS):
            pod._loop.turn(pod._executors)
            batches.append({partition_of(key, PARTITIONS) for _, key, _, _ in pod.take_written()})
    assert [len(batch) for batch in batches] == [1] * PARTITIONS
    assert set().union(*batches) == set(range(PARTITIONS))


def test_half_of_the_lanes_rest() -> None:
    """For a while after a commit the broker has the next transaction of the same lane wait."""
    lanes = [object() for _ in range(4)]
    loop, free = looping(lanes), []
    for number, lane in enumerate(lanes):
        free.append(loop._has_lane())
        loop._held[cast("Any", lane)] = frozenset({number})
    assert free == [True, True, False, False]


def test_the_collector_looks_at_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is in memory would hold up an order for a tenth of a second: once an hour is enough."""
    looked: list[int] = []
    monkeypatch.setattr(engine_loop, "gc", SimpleNamespace(collect=lambda generation=2: looked.append(generation)))
    loop = looping([object()])
    start = loop._tidied
    for seconds in (0.5, 1.5, 2.0, 3.0, 3700.0, 3700.5, 3701.5):
        loop._tidy(start + seconds)
    assert looked == [0, 0, 2, 0]
