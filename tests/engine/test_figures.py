"""How a partition's sagas stand, as figures that somebody watches."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.engine.standing import Standing, standing
from app.engine.store import PartitionStore
from app.figures import figures
from app.saga.state import Asked, Compensating, Completed, Facts, Pausing, Progress, RolledBack, Running, Stuck, Waiting
from app.saga.state import Why as Because

NOW = 1_700_000_000_000
LIMIT = 8
WHY = Because("no funds", "payment", requested=False)
NAMES = {
    "saga_live",
    "saga_ended",
    "saga_stuck",
    "saga_outstanding",
    "saga_waiting",
    "saga_room",
    "saga_next_due_timestamp_seconds",
    "saga_state_bytes",
}


def facts(version: int = 1) -> Facts:
    """Of a saga of that version."""
    return Facts("order", version, "d" * 32, NOW, {}, {})


ALL = {
    b"asked": Progress(1, Running(facts(), None, (Asked("reservation", 1, 1, NOW, NOW + 9_500),))),
    b"parallel": Progress(
        1,
        Running(
            facts(2),
            NOW + 99_000,
            (Asked("reservation", 1, 1, NOW, NOW + 30_000), Pausing("payment", 1, 1, NOW + 9_600)),
        ),
    ),
    b"waiting": Progress(1, Running(facts(2), None, (Waiting("reservation", 0, 1), Waiting("payment", 0, 1)))),
    b"waiting too": Progress(4, Compensating(facts(), WHY, (Waiting("payment", 0, 1),), ())),
    b"stuck": Progress(9, Compensating(facts(), WHY, (Stuck("payment", 5, 1, NOW, "down"),), ("reservation",))),
    b"completed": Progress(3, Completed(facts(), NOW + 10**9)),
    b"rolled back": Progress(3, RolledBack(facts(), WHY, NOW + 10**9)),
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    """One in which each kind of saga is, with payment's participant in trouble."""
    made = PartitionStore(tmp_path / "0", "changelog", 100, LIMIT)
    made.gate.troubled("payment", NOW)
    for key, progress in ALL.items():
        made.set(key, progress)
    made.save(made.changes(), 1)
    made.look_ahead(NOW)  # as before each batch; only an idle loop asks when the next one is due
    yield made
    made.close()


def values(standings: Mapping[int, Standing]) -> dict[tuple[str, str], float]:
    """Each figure's value, by its name and its labels."""
    return {
        (figure.name, " ".join(f"{label}={text}" for label, text in figure.labels.items())): figure.value
        for figure in figures(standings)
    }


def test_each_is_counted_where_it_stands(store: PartitionStore) -> None:
    """Under way by definition, by step what is outstanding and what waits; a pause counts as outstanding."""
    size = sum(file.stat().st_size for file in store.folder.iterdir())
    assert standing(store) == Standing(
        live={"order/1": 3, "order/2": 2},
        ended=2,
        stuck=1,
        outstanding={"reservation": 2, "payment": 1},
        waiting={"reservation": 1, "payment": 2},
        room={"payment": LIMIT // 2},
        due_ms=NOW + 9_500,
        bytes=size,
    )
    assert size > 0


def test_the_figures_are_the_standing_by_partition(store: PartitionStore) -> None:
    """Each has its partition's number; seconds since 1970 are Prometheus' own unit of time."""
    found = values({3: standing(store)})
    size = found.pop(("saga_state_bytes", "partition=3"))
    assert size > 0
    assert found == {
        ("saga_live", "partition=3 definition=order/1"): 3,
        ("saga_live", "partition=3 definition=order/2"): 2,
        ("saga_ended", "partition=3"): 2,
        ("saga_stuck", "partition=3"): 1,
        ("saga_outstanding", "partition=3 step=payment"): 1,
        ("saga_outstanding", "partition=3 step=reservation"): 2,
        ("saga_waiting", "partition=3 step=payment"): 2,
        ("saga_waiting", "partition=3 step=reservation"): 1,
        ("saga_room", "partition=3 step=payment"): LIMIT // 2,
        ("saga_next_due_timestamp_seconds", "partition=3"): 1_700_000_009.5,
    }


def test_the_names_are_what_dashboards_know(store: PartitionStore) -> None:
    """All of them, each with one help text, whatever the partition; all are gauges."""
    both = figures({0: standing(store), 1: standing(store)})
    assert {figure.name for figure in both} == NAMES
    assert len({(figure.name, figure.help) for figure in both}) == len(NAMES)
    assert {figure.kind for figure in both} == {"gauge"}
    assert len({(figure.name, *figure.labels.items()) for figure in both}) == len(both)


def test_what_was_counted_once_is_shown_as_none_later(store: PartitionStore) -> None:
    """A figure that just vanished would be taken for the last value that was seen."""
    for key in ALL:
        store.set(key, None)
    store.save(store.changes(), 2)
    store.look_ahead(NOW)
    found = values({0: standing(store)})
    assert found.pop(("saga_state_bytes", "partition=0")) > 0
    assert set(found.values()) == {0, LIMIT // 2}
    assert found["saga_waiting", "partition=0 step=reservation"] == 0
    assert ("saga_live", "partition=0 definition=order/2") in found
    assert ("saga_next_due_timestamp_seconds", "partition=0") not in found


def test_a_pod_without_partitions_has_no_figures() -> None:
    """Nothing is made up."""
    assert figures({}) == []


def test_a_store_that_was_let_go_still_answers(tmp_path: Path) -> None:
    """A look can come while the partition goes to another pod."""
    store = PartitionStore(tmp_path / "0", "changelog", 100, LIMIT)
    store.set(b"stuck", ALL[b"stuck"])
    store.save(store.changes(), 1)
    store.close()
    assert (standing(store).live, standing(store).stuck) == ({"order/1": 1}, 1)
