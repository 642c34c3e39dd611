"""The verdict on a world that is idle at its end."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.operators.stuck import StuckSagas
from app.wire.topics import STATE
from tests.simulation.judge.effects import conserved, ends
from tests.simulation.judge.history import History
from tests.simulation.judge.inputs_outputs import inputs, outputs
from tests.simulation.judge.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def judge(world: "World") -> tuple[History, list[Violation]]:
    """Checks a world; returns its history and all violations."""
    history = History(world.kafka, world.plan, world.takeovers)
    return history, [*world.violations, *history.violations, *_at_end(world, history)]


def listed(world: "World") -> list[bytes]:
    """The orders that operators see as stuck."""
    sagas = StuckSagas()
    for message in world.kafka.records_of(STATE.name):
        sagas.take(message.key() or b"", message.value())
    return list(dict.fromkeys(step.order_id.encode() for step in sagas.steps()))


def _at_end(world: "World", history: History) -> Iterator[Violation]:
    kafka, plan = world.kafka, world.plan
    for id in world.shops.ids:
        if id.encode() not in history.orders:
            yield Violation("inputs", id, "it was placed, but never started")
    yield from ends(plan, history, listed(world))
    yield from inputs(kafka, history)
    yield from outputs(kafka, plan, history)
    yield from conserved(kafka, plan, history, history.last_ends(), world.participants)
