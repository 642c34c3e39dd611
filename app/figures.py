"""How the sagas of a pod stand, as figures for Prometheus."""

from collections.abc import Iterator, Mapping

from app.engine.standing import Standing
from app.ops.metrics import Figure


def figures(standings: Mapping[int, Standing]) -> list[Figure]:
    """Those of all partitions that the pod has."""
    return [figure for number, one in sorted(standings.items()) for figure in _of(one, str(number))]


def _of(one: Standing, partition: str) -> Iterator[Figure]:
    yield from _each("saga_live", "Sagas under way.", partition, "definition", one.live)
    yield _gauge("saga_ended", "Sagas that have ended and are remembered.", one.ended, partition=partition)
    yield _gauge("saga_stuck", "Sagas that wait for a person.", one.stuck, partition=partition)
    yield from _each(
        "saga_outstanding", "Commands of a step that are not answered yet.", partition, "step", one.outstanding
    )
    yield from _each(
        "saga_waiting", "Sagas that wait for room at a step's participant.", partition, "step", one.waiting
    )
    yield from _each(
        "saga_room", "Commands that a participant bears; fewer while it is in trouble.", partition, "step", one.room
    )
    if one.due_ms is not None:
        yield _gauge(
            "saga_next_due_timestamp_seconds", "When somebody is due next.", one.due_ms / 1000, partition=partition
        )
    yield _gauge("saga_state_bytes", "Size of the local state on disk.", one.bytes, partition=partition)


def _each(name: str, what: str, partition: str, label: str, values: Mapping[str, int]) -> Iterator[Figure]:
    for key, value in sorted(values.items()):
        yield _gauge(name, what, value, partition=partition, **{label: key})


def _gauge(name: str, what: str, value: float, **labels: str) -> Figure:
    return Figure(name, what, labels, value, "gauge")
