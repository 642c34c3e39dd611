"""A run on the real broker: pods, services and orders in a test's hands, and the proof at its end."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from app.audit.invariants import Report, check
from app.audit.read import read
from app.audit.refold import refold
from app.demo.children import Child, Children
from app.demo.group import GroupWatch
from app.demo.placing import Placing
from app.demo.plan import Plan
from app.demo.stage import Stage, set_stage
from app.demo.watch import Watch
from app.saga.versions import Versions
from tests.broker.pods import QUICK, SAGA
from topologies.__main__ import SAGAS

MISHAPS = ("--duplicate", "0.05", "--slow", "0.02", "--slow-delay", "100-600", "--fail", "0.02")
_PATIENCE_SECONDS = 90.0
_LOOK_SECONDS = 0.1


class Run:
    """Pods and services of one test, and the orders that go through them while `going` is asked for."""

    def __init__(
        self,
        stage: Stage,
        saga: Versions,
        children: Children,
        plan: Plan,
        placing: Placing,
        watch: Watch,
        group: GroupWatch,
    ) -> None:
        self.stage, self.saga, self.children, self.plan, self.group = stage, saga, children, plan, group
        self._placing, self._watch = placing, watch

    def pod(self, name: str) -> Child:
        """A pod that hands over quickly when it dies; started, and ready when this returns."""
        pod = self.children.pod(SAGA, name, QUICK)
        pod.start()
        pod.await_ready()
        return pod

    def going(self) -> Iterator[float]:
        """Looks again and again, each time with the share of orders that have ended, until nothing is left to do.

        Fails when nothing moves any more.
        """
        moved, last = time.monotonic(), -1
        while True:
            self._watch.look(_LOOK_SECONDS)
            ended = self._watch.seen().ended
            behind = self.group.lag()
            if self._placing.done and ended >= self.plan.orders and behind == 0:
                return
            if ended != last:
                moved, last = time.monotonic(), ended
            assert time.monotonic() - moved < _PATIENCE_SECONDS, f"{ended} of {self.plan.orders} ended, then no more"
            yield ended / self.plan.orders


@contextmanager
def running(
    bootstrap: str, plan: Plan, folder: Path, mishaps: Sequence[str] = MISHAPS, definition: str = "order"
) -> Iterator[Run]:
    """Services up and orders being placed; pods are the test's. At the end every process is ended in order."""
    saga = SAGAS[definition]
    with ExitStack() as stack:
        stage = stack.enter_context(set_stage(saga, bootstrap, plan.partitions, print))
        with Children(folder, {**stage.environment, "SAGA_DEFINITION": definition}) as children:
            for step in saga.steps:
                children.service(SAGA, step.name, *mishaps, "--seed", str(plan.seed)).start()
            placing = Placing(stage.site, plan)
            watch = Watch(stage.client, stage.topics, plan.partitions, placing.placed_at)
            group = GroupWatch(stage, plan.partitions)
            with closing(watch), closing(group), placing:
                run = Run(stage, saga, children, plan, placing, watch, group)
                yield run
        prove(run)


def prove(run: Run) -> Report:
    """Every invariant holds, and every order that was placed has its one end."""
    recording = read(run.stage.client, run.stage.topics.prefix, run.stage.group, run.stage.terms)
    report = check(recording, run.stage.terms, fold=refold(run.saga))
    assert [f"{found.invariant} {found.saga_id}: {found.text}" for found in report.violations][:10] == []
    assert run.group.went_back == []
    assert run.plan.orders == report.totals.orders_distinct == report.totals.completed + report.totals.rejected
    return report


def chances(seed: int, say: Callable[[str], None] = print) -> random.Random:
    """Chance for a test, told so that a failure can be played again."""
    say(f"seed {seed}")
    return random.Random(seed)
