"""Runs and judges a world, and reports how to run it again if an invariant is broken."""

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
    """The outcome of a world in numbers, and the violated invariants."""

    plan: Plan
    sagas: int
    decisions: int
    commits: int
    crashes: int
    ticks: int
    violations: tuple[Violation, ...]
    stories: tuple[str, ...]

    @property
    def invariants(self) -> set[str]:
        """The invariants that were violated."""
        return {violation.invariant for violation in self.violations}

    def report(self) -> str:
        """The first violations, and the command that repeats the world."""
        plan = self.plan
        lines = [str(violation) for violation in self.violations[:_SHOWN]]
        lines.append(f"{len(self.violations)} violations in this world: {plan.summary()}")
        lines.append(f"again: python -m tests.simulation --seed {plan.seed} --sagas {plan.sagas} --story")
        return "\n".join(lines)


def run(seed: int, sagas: int, plan: Plan | None = None) -> Verdict:
    """Runs and judges the world of a seed."""
    with without_logging_and_gc(), world(plan or draw(seed, sagas)) as finished:
        try:
            finished.run()
        except Exception:  # noqa: BLE001 - whatever the error is, the report must have the seed
            finished.violations.append(Violation("engine", None, format_exc(limit=-3)))
        return _verdict(finished, *judge(finished))


def digest(plan: Plan) -> str:
    """Runs a world; returns the digest of its records, which is the same on any machine."""
    with without_logging_and_gc(), world(plan) as finished:
        finished.run()
        return finished.digest()


@contextmanager
def without_logging_and_gc() -> Iterator[None]:
    """For a world: its clock jumps and lost disks need no log lines, and hardly an object here is part of a cycle."""
    logging.disable()
    gc.collect()  # what a former world left behind: the automatic collector would let gigabytes accumulate
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def _verdict(finished: World, history: History, violations: list[Violation]) -> Verdict:
    names = list(dict.fromkeys(violation.saga for violation in violations if violation.saga))
    return Verdict(
        finished.plan,
        len(history.orders),
        history.decisions,
        len(finished.kafka.commits),
        finished.crashes,
        finished.ticks,
        tuple(violations),
        tuple(story(finished.kafka, name) for name in names[:2]),
    )
