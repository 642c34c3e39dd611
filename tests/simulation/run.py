"""Runs a world, and says how to run it again when something in it must not be."""

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from traceback import format_exc

from tests.simulation.judge import judge
from tests.simulation.judge.history import History
from tests.simulation.judge.violation import Violation
from tests.simulation.plan import Plan, draw
from tests.simulation.story import story
from tests.simulation.world import World, world

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a world, in figures, and what must not have come of it."""

    plan: Plan
    sagas: int
    decisions: int
    commits: int
    crashes: int
    ticks: int
    violations: tuple[Violation, ...]
    stories: tuple[str, ...]

    @property
    def laws(self) -> set[str]:
        """The laws that were broken."""
        return {violation.law for violation in self.violations}

    def says(self) -> str:
        """What is wrong, and the command that shows it again."""
        plan = self.plan
        lines = [str(violation) for violation in self.violations[:_SHOWN]]
        lines.append(f"{len(self.violations)} violations in this world: {plan.says()}")
        lines.append(f"again: python -m tests.simulation --seed {plan.seed} --sagas {plan.sagas} --story")
        return "\n".join(lines)


def run(seed: int, sagas: int, plan: Plan | None = None) -> Verdict:
    """The world of a seed, lived and judged."""
    with undisturbed(), world(plan or draw(seed, sagas)) as lived:
        try:
            lived.live()
        except Exception:  # noqa: BLE001 - whatever it is, the seed must be said
            lived.problems.append(Violation("engine", None, format_exc(limit=-3)))
        return _verdict(lived, *judge(lived))


def digest(plan: Plan) -> str:
    """The same for the same world, on whatever machine."""
    with undisturbed(), world(plan) as lived:
        lived.live()
        return lived.digest()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Clocks jump and disks are lost on purpose: nobody need be warned. And next to nothing here is part of a cycle."""
    logging.disable()
    gc.collect()  # what a world before left: by itself the collector would let gigabytes gather
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def _verdict(lived: World, history: History, violations: list[Violation]) -> Verdict:
    names = list(dict.fromkeys(violation.saga for violation in violations if violation.saga))
    return Verdict(
        lived.plan,
        len(history.tales),
        history.decisions,
        len(lived.kafka.commits),
        lived.crashes,
        lived.ticks,
        tuple(violations),
        tuple(story(lived.kafka, name) for name in names[:2]),
    )
