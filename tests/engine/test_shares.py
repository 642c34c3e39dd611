"""Which partitions a batch takes."""

from pathlib import Path

from app.wire.partition import partition_of
from tests.benchmarks.inside import inside, load
from tests.benchmarks.site import PARTITIONS


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
