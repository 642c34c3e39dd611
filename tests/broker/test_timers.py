"""Timers on the real broker: they fire on time and once, whatever happens to the pods meanwhile."""

import shutil
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest

from app.demo.children import Child
from app.demo.plan import Plan
from app.devkafka.ports import free_ports
from app.devkafka.properties import HOST
from app.samples.participant.fault_plan import FaultPlan
from tests.broker.order_load import (
    Decision,
    OrderLoad,
    check_invariants,
    fired,
    fired_twice,
    order_load,
    read_decisions,
    say,
)
from tests.broker.participant_replies import complete, fail, send_success, succeed, undo
from tests.broker.pods import QUICK, SAGA, Site, site
from tests.broker.run import Run, running, seeded_random
from tests.devkafka.support import until

pytestmark = [pytest.mark.broker, pytest.mark.alone]
TOLERANCE_MS = 250
LOSSY = ("--lose", "0.15", "--fail", "0.1", "--duplicate", "0.05")
HASTY = {"SAGA_STEP_TIMEOUT": "1", "SAGA_STEP_ATTEMPTS": "50", "SAGA_DEADLINE": "2.5"}
KILLS = 4
RESTORED = '"event": "state restored"'


def test_timeouts_and_backoffs_fire_on_time(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """On an idle pod a timer fires less than 250 ms after it is due, be it a step time-out or a backoff."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.4, step_attempts=4)
        at.place("silent")
        at.place("failing")
        for attempt in range(1, 5):
            fail(at, "failing", "reservation", attempt)
        for order in ("silent", "failing"):
            at.await_events(order, "saga.stuck")
        firings = fired(read_decisions(at.client, at.topics, 1))
        late = sorted(firing.at_ms - firing.due_ms for firing in firings)
        say(f"late by {late[len(late) // 2]} ms (median), {late[-1]} ms at most")
        assert Counter(firing.kind for firing in firings) == {"timeout": 12, "pause": 3}
        assert late[0] >= 0
        assert late[-1] < TOLERANCE_MS
        assert check_invariants(at).totals.stuck == 2


def test_4c_33_timers_due_during_downtime_fire_once_after_the_backlog_is_read(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """300 sagas, no pod until their time-outs are due: replies written meanwhile win, all other time-outs fire once."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, 2) as at, order_load(at, 300, 2) as orders:
        pod = at.running(step_timeout=4, step_attempts=50)
        placed = [placement.order["order_id"] for placement in orders.place()]
        orders.await_state("awaiting reservation", 300)
        pod.kill()
        shutil.rmtree(at.children.state_of("pod"))
        answered = reply_to_some(orders, placed)
        due = max(event["due_ms"] for one in orders.decisions() for event in one.events if "due_ms" in event)
        until(lambda: time.time() * 1000 > due, "all time-outs to be due")
        pod.start()
        pod.await_ready()
        for name in ("reservation", "payment"):
            orders.service(name)
        orders.await_ended()
        decisions = orders.decisions()
        first = [one.saga_id for one in decisions if one.timer == "reservation:do:1:timeout"]
        assert sorted(first) == sorted(set(placed) - answered)
        for number in range(2):
            kinds = [
                "reply" if is_late_reply(one, answered) else one.kind for one in decisions if one.partition == number
            ]
            assert "timeout" not in kinds[: len(kinds) - kinds[::-1].index("reply")]
        assert orders.check_invariants().totals.completed == 300


def reply_to_some(orders: OrderLoad, placed: list[str]) -> set[str]:
    """A reservation service handles all commands but loses a third of the replies; returns the orders with a reply."""
    faults = FaultPlan(lose=0.33)
    answered = {order for order in placed if faults.fault_for(f"{order}:reservation:do:1", "do").copies}
    service = orders.service("reservation", "--lose", "0.33")
    until(lambda: replies_of(orders, "reservation") == len(answered), "the replies")
    service.stop()
    return answered


def replies_of(orders: OrderLoad, name: str) -> int:
    """How many replies a service has written."""
    return sum(len(orders.at.read(f"{name}.replies", number)) for number in range(orders.partitions))


def is_late_reply(one: Decision, answered: set[str]) -> bool:
    """Whether this decision was caused by a reservation reply that came while the pod was down."""
    return one.saga_id in answered and one.document["cause"].get("type") == "reservation.reserved"


@pytest.mark.slow
def test_4c_34_timers_fire_once_although_pods_are_killed(kafka_bootstrap: str, tmp_path: Path) -> None:
    """kill -9 again and again, with and without the state on disk, while time-outs, backoffs and deadlines are due."""
    plan, rng, kills = Plan(orders=450, rate=60, seed=34, partitions=4), seeded_random(34), 0
    with running(kafka_bootstrap, plan, tmp_path, LOSSY) as run:
        pods = [start_hasty_pod(run, "first"), start_hasty_pod(run, "second")]
        next_kill = time.monotonic()
        for _ in run.progress():
            pod = pods[kills % 2]
            if kills < KILLS and time.monotonic() >= next_kill and pod.is_ready:
                kill_and_restart(run, pod, keep=kills % 4 < 2)
                kills += 1
                next_kill = time.monotonic() + rng.uniform(0, 2)
        counts = Counter(firing.kind for firing in fired_once(run))
        assert kills == KILLS
        assert all(counts[kind] > 10 for kind in ("timeout", "pause", "deadline")), counts


def start_hasty_pod(run: Run, name: str, settings: Mapping[str, str] = HASTY) -> Child:
    """Starts a pod with short time-outs and many attempts, and waits until it is ready."""
    pod = run.children.pod(SAGA, name, {**QUICK, **settings})
    pod.start()
    pod.await_ready()
    return pod


@pytest.mark.slow
def test_4c_34_timers_fire_once_across_rebalances(kafka_bootstrap: str, tmp_path: Path) -> None:
    """A second pod joins and leaves while timers are due; those due during a rebalance fire once, too."""
    plan, rebalances = Plan(orders=300, rate=40, seed=35, partitions=4), list[tuple[float, float]]()
    with running(kafka_bootstrap, plan, tmp_path, LOSSY) as run:
        staying, guest = start_hasty_pod(run, "staying"), run.children.pod(SAGA, "guest", {**QUICK, **HASTY})
        for _ in run.progress():
            if len(rebalances) < 2:
                began, times = time.time(), staying.said().count(RESTORED)
                guest.stop() if guest.alive else guest.start()
                until(partial(has_restored, staying, times + 1), "the rebalance to finish")
                rebalances.append((began * 1000, time.time() * 1000))
        assert not guest.alive
        firings = fired_once(run)
        due = [sum(begin < firing.due_ms < end for firing in firings) for begin, end in rebalances]
        say(f"of these, due during each rebalance: {due}")
        assert min(due) > 5


def has_restored(pod: Child, times: int) -> bool:
    """Whether a pod has restored an assignment this many times."""
    return pod.said().count(RESTORED) >= times


def kill_and_restart(run: Run, pod: Child, *, keep: bool) -> None:
    """Kills a pod, removes its state unless `keep`, and starts it again."""
    pod.kill()
    if not keep:
        shutil.rmtree(run.children.state_of(pod.log.stem), ignore_errors=True)
    pod.start()


def fired_once(run: Run) -> list[Decision]:
    """The decisions that timers caused; no timer fired twice."""
    firings = fired(read_decisions(run.stage.client, run.stage.topics, run.plan.partitions))
    assert fired_twice(firings) == []
    say(f"timers fired: {dict(Counter(firing.kind for firing in firings))}")
    return firings


def test_a_deadline_rolls_active_orders_back(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """An active order is rolled back on time, whatever its step; a completed one stays completed."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(deadline=2)
        for order in ("first-step", "second-step", "done"):
            at.place(order)
        for order in ("second-step", "done"):
            succeed(at, order, "reservation")
        succeed(at, "done", "payment")
        for order in ("second-step", "first-step"):
            at.await_events(order, "saga.compensation.requested")
        undo(at, "second-step", "payment")
        at.await_events("second-step", "saga.compensation.requested")
        for order in ("second-step", "first-step"):
            undo(at, order, "reservation")
            assert at.await_events(order, "saga.rolled_back").count("saga.step.timed_out") == 1
        deadlines = fired(read_decisions(at.client, at.topics, 1), "deadline")
        assert {one.saga_id for one in deadlines} == {"first-step", "second-step"}
        assert max(one.at_ms - one.due_ms for one in deadlines) < TOLERANCE_MS
        assert {one.events[0]["because"]["reason"] for one in deadlines} == {"the order's deadline has passed"}
        totals = check_invariants(at).totals
        assert (totals.completed, totals.rejected) == (1, 2)


def test_4a_15_an_ended_order_is_retained_and_then_forgotten(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Until then duplicates are recognised; after that the id is unknown, and a new order may use it."""
    port = free_ports(1)[0]
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(retention=3, metrics_host=HOST, metrics_port=port)
        at.place("o")
        complete(at, "o", "reservation", "payment")
        again = at.place("o")
        send_success(at, "o", "payment")
        assert at.await_events("o", "saga.reply.ignored").count("saga.started") == 1
        until(lambda: at.committed("order.requests") > again, "the duplicate to be read")
        assert retained(port) == 1
        until(lambda: tombstones(at) == [b"o"], "the order to expire")
        until(lambda: retained(port) == 0, "the count to go down")
        assert at.read("saga.dead-letters") == []
        send_success(at, "o", "payment")
        until(lambda: dead_letter_reasons(at) == [b"unknown_order"], "the late reply to be a dead letter")
        at.place("o")
        until(lambda: at.decided("o").count("saga.started") == 2, "a new order under this id")
        assert at.decisions()[-1]["seq"] == 1
        complete(at, "o", "reservation", "payment")
        totals = check_invariants(at).totals
        assert (totals.orders_distinct, totals.completed) == (1, 2)


def retained(port: int) -> float:
    """The pod's metric of ended sagas that are still retained."""
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("saga_ended "))


def tombstones(at: Site) -> list[bytes | None]:
    """The keys of tombstones in the changelog."""
    return [message.key() for message in at.read("saga.state") if message.value() is None]


def dead_letter_reasons(at: Site) -> list[bytes | None]:
    """The reasons of all dead letters."""
    return [dict(message.headers() or ())["__saga.errors.reason"] for message in at.read("saga.dead-letters")]
