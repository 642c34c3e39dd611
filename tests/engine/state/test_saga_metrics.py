"""Statistics of a partition's sagas, and the metrics made of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.engine.state.partition_stats import PartitionStats, partition_stats
from app.engine.state.store import PartitionStore
from app.ops.metrics import Sample
from app.saga.state import (
    BackingOff,
    Compensating,
    Completed,
    InFlight,
    Progress,
    Queued,
    RolledBack,
    Running,
    SagaData,
    Stuck,
    Why,
)
from app.saga_metrics import saga_gauges

NOW = 1_700_000_000_000
LIMIT = 8
WHY = Why("no funds", "payment", requested=False)


def data(version: int = 1) -> SagaData:
    """The data of a saga of that version."""
    return SagaData("order", version, "d" * 32, NOW, {}, {})


ALL = {
    b"asked": Progress(1, Running(data(), None, (InFlight("reservation", 1, 1, NOW, NOW + 9_500),))),
    b"parallel": Progress(
        1,
        Running(
            data(2),
            NOW + 99_000,
            (InFlight("reservation", 1, 1, NOW, NOW + 30_000), BackingOff("payment", 1, 1, NOW + 9_600)),
        ),
    ),
    b"waiting": Progress(1, Running(data(2), None, (Queued("reservation", 0, 1), Queued("payment", 0, 1)))),
    b"waiting too": Progress(4, Compensating(data(), WHY, (Queued("payment", 0, 1),), ())),
    b"stuck": Progress(9, Compensating(data(), WHY, (Stuck("payment", 5, 1, NOW, "down"),), ("reservation",))),
    b"completed": Progress(3, Completed(data(), NOW + 10**9)),
    b"rolled back": Progress(3, RolledBack(data(), WHY, NOW + 10**9)),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """A store with a saga in each kind of state, and with a failure of payment's participant."""
    opened = PartitionStore(tmp_path / "0", "changelog", 100, LIMIT)
    opened.admission.on_failure("payment", NOW)
    for key, progress in ALL.items():
        opened.set(key, progress)
    opened.save(opened.take_changes(), 1)
    opened.look_ahead(NOW)  # as before each batch; only an idle loop asks for the next due time
    yield opened
    opened.close()


def values(*stats: PartitionStats) -> dict[tuple[str, ...], float]:
    """Each sample's value, by its name and the values of its labels."""
    return {(sample.name, *sample.labels.values()): number(sample) for sample in saga_gauges(stats)}


def number(sample: Sample) -> float:
    """The value of a gauge."""
    assert isinstance(sample.value, int | float)
    return sample.value


def test_each_saga_is_counted_in_its_state(store: PartitionStore) -> None:
    """Live sagas by definition; in flight and queued by step; a command in backoff counts as in flight."""
    size = sum(file.stat().st_size for file in store.folder.iterdir())
    assert partition_stats(store) == PartitionStats(
        live={"order/1": 3, "order/2": 2},
        ended=2,
        stuck=1,
        in_flight={"reservation": 2, "payment": 1},
        queued={"reservation": 1, "payment": 2},
        windows={"payment": LIMIT // 2},
        limit=LIMIT,
        queued_since={},
        stuck_since={"payment": NOW},
        due_ms=NOW + 9_500,
        bytes=size,
    )
    assert size > 0


def test_the_gauges_add_up_the_partitions(store: PartitionStore) -> None:
    """Counts are sums, times the earliest; times are in seconds since 1970, Prometheus' unit."""
    one = partition_stats(store)
    found = values(one, replace(one, due_ms=NOW + 5_000, stuck_since={"payment": NOW - 7_000}))
    size = found.pop(("saga_state_bytes",))
    assert size == 2 * one.bytes > 0
    assert found == {
        ("saga_live", "order/1"): 6,
        ("saga_live", "order/2"): 4,
        ("saga_ended",): 4,
        ("saga_stuck",): 2,
        ("saga_stuck_oldest_timestamp_seconds", "payment"): NOW / 1000 - 7,
        ("saga_commands_in_flight", "payment"): 2,
        ("saga_commands_in_flight", "reservation"): 4,
        ("saga_steps_queued", "payment"): 4,
        ("saga_steps_queued", "reservation"): 2,
        ("saga_admission_window", "payment"): LIMIT // 2 * 2,
        ("saga_admission_limit",): 2 * LIMIT,
        ("saga_next_due_timestamp_seconds",): NOW / 1000 + 5,
    }


def test_a_queue_tells_since_when_it_waits(store: PartitionStore) -> None:
    """From the first batch that saw it; not any more once it is empty."""
    store.admission.admissible(NOW + 1)
    store.admission.admissible(NOW + 2)
    assert partition_stats(store).queued_since == dict.fromkeys(("payment", "reservation"), NOW + 1)
    for key in ALL:
        store.set(key, None)
    store.save(store.take_changes(), 2)
    store.admission.admissible(NOW + 3)
    assert partition_stats(store).queued_since == {}


def test_a_sample_that_drops_to_zero_stays(store: PartitionStore) -> None:
    """If a sample vanished, its last value would seem to stay."""
    for key in ALL:
        store.set(key, None)
    store.save(store.take_changes(), 2)
    store.look_ahead(NOW)
    found = values(partition_stats(store))
    assert found.pop(("saga_state_bytes",)) > 0
    assert set(found.values()) == {0, LIMIT, LIMIT // 2}
    assert found["saga_steps_queued", "reservation"] == 0
    assert ("saga_live", "order/2") in found
    assert ("saga_next_due_timestamp_seconds",) not in found


def test_a_pod_without_partitions_has_no_samples() -> None:
    """There are no samples without partitions."""
    assert values() == {}


def test_a_closed_store_still_has_statistics(tmp_path: Path) -> None:
    """Metrics can be read while the partition goes to another pod."""
    store = PartitionStore(tmp_path / "0", "changelog", 100, LIMIT)
    store.set(b"stuck", ALL[b"stuck"])
    store.save(store.take_changes(), 1)
    store.close()
    assert (partition_stats(store).live, partition_stats(store).stuck) == ({"order/1": 1}, 1)
