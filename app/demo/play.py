"""Plays the demo: orders through a real Kafka, a pod killed in the middle, and the proof that nothing was lost."""

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from rich.console import Console

from app.audit.check import check
from app.audit.checks.state_fold import state_fold
from app.audit.invariants import Violation
from app.audit.recording.from_kafka import read
from app.audit.report.report import Report
from app.audit.report.report_text import show
from app.demo.children import Child, Children
from app.demo.group import GroupWatch
from app.demo.placing import Placing
from app.demo.plan import Plan
from app.demo.stage import Stage, set_stage
from app.demo.view import View
from app.demo.watch import Watch
from app.saga.versions import Versions

_LOOK_SECONDS = 0.25
_SERVING = "service answers"  # in the first line of a service's log


class DemoFailed(Exception):
    """The demo could not be played to its end. The message says why."""


def play(saga: Versions, command: Sequence[str], plan: Plan, bootstrap: str | None, console: Console) -> bool:
    """Plays the whole demo; `command` is the command line of the `saga` command. True when the proof holds."""
    view = View(console, plan.orders)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="order-saga-demo-")))
        stage = stack.enter_context(set_stage(saga, bootstrap, plan.partitions, view.say))
        with Children(folder, stage.environment) as children:
            pods = _start(children, command, [step.name for step in saga.steps], plan, view)
            went_back = _drive(stage, pods, plan, view)
        view.say("all orders have ended and all processes are stopped; the proof follows, from the topics alone")
        recording = read(stage.client, stage.topics.prefix, stage.group, stage.terms)
        report = check(recording, stage.terms, fold=state_fold(saga))
        show(report, console)
        return _judge(report, went_back, plan, view)


def _start(children: Children, command: Sequence[str], names: Sequence[str], plan: Plan, view: View) -> list[Child]:
    slow = f"{plan.slow_ms[0]}-{plan.slow_ms[1]}"
    replies = ("--slow", str(plan.slow), "--slow-delay", slow, "--duplicate", str(plan.repeated_replies))
    failing = ("--fail", str(plan.failing), "--seed", str(plan.seed))
    services = [children.service(command, name, *replies, *failing) for name in names]
    pods = [children.pod(command, f"orchestrator-{number}") for number in (1, 2)]
    for child in (*services, *pods):
        child.start()
    for service in services:
        service.await_log(_SERVING)
    for pod in pods:
        pod.await_ready()
    view.say(f"two pods and the sample services are up: {', '.join(names)}")
    return pods


def _drive(stage: Stage, pods: list[Child], plan: Plan, view: View) -> list[Violation]:
    """Places and watches the orders, with the crash in the middle; returns the committed offsets that went back."""
    placing = Placing(stage.cluster, plan)
    watch = Watch(stage.client, stage.topics, plan.partitions, placing.placed_at)
    group = GroupWatch(stage, plan.partitions)
    crash = _Crash(pods[0], plan, view)
    with closing(watch), closing(group), view, placing:
        view.say(f"placing {plan.orders:,} orders, {plan.rate:.0f} per second")
        last_move, ended = time.monotonic(), -1
        while True:
            watch.look(_LOOK_SECONDS)
            seen, lag = watch.seen(), group.lag()
            view.show(seen, len(placing.placed_at), lag, {pod.log.stem: pod.alive for pod in pods})
            crash.advance(len(placing.placed_at))
            if placing.done and seen.ended >= plan.orders and lag == 0 and crash.over:
                return group.went_back
            if seen.ended != ended:
                last_move, ended = time.monotonic(), seen.ended
            elif time.monotonic() - last_move > plan.patience_seconds:
                raise DemoFailed(
                    f"{seen.ended:,} of {plan.orders:,} orders ended, then none for {plan.patience_seconds:.0f} s"
                )


class _Crash:
    """Kills a pod when the plan's share of orders is placed, and starts it again after the plan's seconds."""

    def __init__(self, pod: Child, plan: Plan, view: View) -> None:
        self._pod, self._plan, self._view = pod, plan, view
        self._killed_at: float | None = None
        self.over = False

    def advance(self, placed: int) -> None:
        """Takes the next step of kill, start and readiness, if it is due; `placed` counts the orders so far."""
        if self._killed_at is None and placed >= self._plan.kill_at * self._plan.orders:
            self._view.say(f"kill -9 of {self._pod.log.stem} (process {self._pod.pid}) at work")
            self._pod.kill()
            self._killed_at = time.monotonic()
        elif self._killed_at is not None and not self.over:
            if not self._pod.alive and time.monotonic() - self._killed_at >= self._plan.down_seconds:
                self._pod.start()
                self._view.say(f"{self._pod.log.stem} started again")
            elif self._pod.alive and self._pod.is_ready:
                took = time.monotonic() - self._killed_at - self._plan.down_seconds
                self._view.say(f"{self._pod.log.stem} has restored its state and works, {took:.1f} s after its start")
                self.over = True


def _judge(report: Report, went_back: list[Violation], plan: Plan, view: View) -> bool:
    missing = plan.orders - report.totals.orders_distinct
    if missing:
        view.say(f"FAILED: {missing} orders are missing from the topics")
    for violation in went_back:
        view.say(f"FAILED: {violation.invariant} {violation.text}")
    proved = not report.violations and not went_back and not missing
    view.say(
        f"proved: each of {plan.orders:,} orders ended exactly once, money and stock add up"
        if proved
        else "FAILED: see above"
    )
    return proved
