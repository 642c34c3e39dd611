"""A full run on the real broker: sample services, orders placed at a rate, pods started by the test, and the audit."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from app.audit.check import check
from app.audit.checks.state_fold import state_fold
from app.audit.recording.from_kafka import read
from app.audit.report.report import Report
from app.demo.children import Child, Children
from app.demo.group import GroupWatch
from app.demo.placing import Placing
from app.demo.plan import Plan
from app.demo.stage import Stage, set_stage
from app.demo.watch import Watch
from app.saga.versions import Versions
from tests.broker.pods import QUICK, SAGA
from topologies.__main__ import SAGAS

FAULTY_SERVICES = ("--duplicate", "0.05", "--slow", "0.02", "--slow-delay", "100-600", "--fail", "0.02")
_STALLED_SECONDS = 90.0
_POLL_SECONDS = 0.1


class Run:
    """Starts and stops pods while `progress` waits for the orders to end."""

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
        """Starts a pod that hands over quickly when it dies, and waits until it is ready."""
        pod = self.children.pod(SAGA, name, QUICK)
        pod.start()
        pod.await_ready()
        return pod

    def progress(self) -> Iterator[float]:
        """Yields the share of orders that have ended, every 0.1 s, until all have ended and the group has no lag.

        Fails when no order ends for 90 s.
        """
        moved, last = time.monotonic(), -1
        while True:
            self._watch.look(_POLL_SECONDS)
            ended = self._watch.seen().ended
            lag = self.group.lag()
            if self._placing.done and ended >= self.plan.orders and lag == 0:
                return
            if ended != last:
                moved, last = time.monotonic(), ended
            assert time.monotonic() - moved < _STALLED_SECONDS, f"{ended} of {self.plan.orders} ended, then none"
            yield ended / self.plan.orders


@contextmanager
def running(
    bootstrap: str, plan: Plan, folder: Path, behaviour: Sequence[str] = FAULTY_SERVICES, definition: str = "order"
) -> Iterator[Run]:
    """Starts services and the placing of orders; the test starts pods. Ends all processes, then audits the run."""
    saga = SAGAS[definition]
    with ExitStack() as stack:
        stage = stack.enter_context(set_stage(saga, bootstrap, plan.partitions, print))
        with Children(folder, {**stage.environment, "SAGA_DEFINITION": definition}) as children:
            for step in saga.steps:
                children.service(SAGA, step.name, *behaviour, "--seed", str(plan.seed)).start()
            placing = Placing(stage.cluster, plan)
            watch = Watch(stage.client, stage.topics, plan.partitions, placing.placed_at)
            group = GroupWatch(stage, plan.partitions)
            with closing(watch), closing(group), placing:
                run = Run(stage, saga, children, plan, placing, watch, group)
                yield run
        audit(run)


def audit(run: Run) -> Report:
    """Audits the topics: every invariant holds, offsets never went back, and every placed order ended exactly once."""
    recording = read(run.stage.client, run.stage.topics.prefix, run.stage.group, run.stage.terms)
    report = check(recording, run.stage.terms, fold=state_fold(run.saga))
    assert [f"{found.invariant} {found.saga_id}: {found.text}" for found in report.violations][:10] == []
    assert run.group.went_back == []
    assert run.plan.orders == report.totals.orders_distinct == report.totals.completed + report.totals.rejected
    return report


def seeded_random(seed: int, say: Callable[[str], None] = print) -> random.Random:
    """A random generator whose seed is printed, so that a failure can be repeated."""
    say(f"seed {seed}")
    return random.Random(seed)
