"""Statistics of a partition's sagas, and the metrics made of them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.engine.state.partition_stats import PartitionStats, partition_stats
from app.engine.state.store import PartitionStore
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
from app.saga_metrics import samples

NOW = 1_700_000_000_000
LIMIT = 8
WHY = Why("no funds", "payment", requested=False)
NAMES = {
    "saga_live",
    "saga_ended",
    "saga_stuck",
    "saga_commands_in_flight",
    "saga_steps_queued",
    "saga_admission_window",
    "saga_next_due_timestamp_seconds",
    "saga_state_bytes",
}


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
    opened.save(opened.changes(), 1)
    opened.look_ahead(NOW)  # as before each batch; only an idle loop asks for the next due time
    yield opened
    opened.close()


def values(stats: Mapping[int, PartitionStats]) -> dict[tuple[str, str], float]:
    """Each sample's value, by its name and labels."""
    return {
        (sample.name, " ".join(f"{label}={text}" for label, text in sample.labels.items())): sample.value
        for sample in samples(stats)
    }


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
        due_ms=NOW + 9_500,
        bytes=size,
    )
    assert size > 0


def test_the_samples_are_the_statistics_by_partition(store: PartitionStore) -> None:
    """Each sample has its partition's number; times are in seconds since 1970, Prometheus' unit."""
    found = values({3: partition_stats(store)})
    size = found.pop(("saga_state_bytes", "partition=3"))
    assert size > 0
    assert found == {
        ("saga_live", "partition=3 definition=order/1"): 3,
        ("saga_live", "partition=3 definition=order/2"): 2,
        ("saga_ended", "partition=3"): 2,
        ("saga_stuck", "partition=3"): 1,
        ("saga_commands_in_flight", "partition=3 step=payment"): 1,
        ("saga_commands_in_flight", "partition=3 step=reservation"): 2,
        ("saga_steps_queued", "partition=3 step=payment"): 2,
        ("saga_steps_queued", "partition=3 step=reservation"): 1,
        ("saga_admission_window", "partition=3 step=payment"): LIMIT // 2,
        ("saga_next_due_timestamp_seconds", "partition=3"): 1_700_000_009.5,
    }


def test_the_names_are_those_of_the_dashboards(store: PartitionStore) -> None:
    """All names, each with one help text, for any partition; all are gauges."""
    both = samples({0: partition_stats(store), 1: partition_stats(store)})
    assert {sample.name for sample in both} == NAMES
    assert len({(sample.name, sample.help) for sample in both}) == len(NAMES)
    assert {sample.kind for sample in both} == {"gauge"}
    assert len({(sample.name, *sample.labels.items()) for sample in both}) == len(both)


def test_a_sample_that_drops_to_zero_stays(store: PartitionStore) -> None:
    """If a sample vanished, its last value would seem to stay."""
    for key in ALL:
        store.set(key, None)
    store.save(store.changes(), 2)
    store.look_ahead(NOW)
    found = values({0: partition_stats(store)})
    assert found.pop(("saga_state_bytes", "partition=0")) > 0
    assert set(found.values()) == {0, LIMIT // 2}
    assert found["saga_steps_queued", "partition=0 step=reservation"] == 0
    assert ("saga_live", "partition=0 definition=order/2") in found
    assert ("saga_next_due_timestamp_seconds", "partition=0") not in found


def test_a_pod_without_partitions_has_no_samples() -> None:
    """There are no samples without partitions."""
    assert samples({}) == []


def test_a_closed_store_still_has_statistics(tmp_path: Path) -> None:
    """Metrics can be read while the partition goes to another pod."""
    store = PartitionStore(tmp_path / "0", "changelog", 100, LIMIT)
    store.set(b"stuck", ALL[b"stuck"])
    store.save(store.changes(), 1)
    store.close()
    assert (partition_stats(store).live, partition_stats(store).stuck) == ({"order/1": 1}, 1)
