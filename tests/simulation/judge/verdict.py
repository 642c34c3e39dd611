"""The verdict on a world that is at rest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.operators.stuck import StuckSagas
from app.wire.topics import STATE
from tests.simulation.judge.history import History
from tests.simulation.judge.messages import inputs, outputs
from tests.simulation.judge.money import conserved, ends
from tests.simulation.judge.violation import Violation

if TYPE_CHECKING:
    from tests.simulation.world import World


def judge(world: "World") -> tuple[History, list[Violation]]:
    """Its history, and all that must not be in it."""
    history = History(world.kafka, world.plan, world.takeovers)
    return history, [*world.problems, *history.problems, *_rest(world, history)]


def listed(world: "World") -> list[bytes]:
    """The orders that operators are shown as stuck."""
    sagas = StuckSagas()
    for message in world.kafka.of_topic(STATE.name):
        sagas.take(message.key() or b"", message.value())
    return list(dict.fromkeys(step.order_id.encode() for step in sagas.steps()))


def _rest(world: "World", history: History) -> Iterator[Violation]:
    kafka, plan = world.kafka, world.plan
    for id in world.shops.ids:
        if id.encode() not in history.tales:
            yield Violation("inputs", id, "it was placed, but never began")
    yield from ends(plan, history, listed(world))
    yield from inputs(kafka, history)
    yield from outputs(kafka, plan, history)
    yield from conserved(kafka, plan, history, history.last_ends(), world.participants)
