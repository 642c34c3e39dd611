"""Timers on the real broker: on time, once each, whatever happens to the pods meanwhile."""

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
from app.samples.behaviour import Behaviour
from tests.broker.crowd import Crowd, Decided, crowd, decided, fired, proved, say, twice
from tests.broker.hands import complete, confirm, fail, succeed, undo
from tests.broker.pods import QUICK, SAGA, Site, site
from tests.broker.run import Run, chances, running
from tests.devkafka.support import until

pytestmark = [pytest.mark.broker, pytest.mark.alone]
TOLERANCE_MS = 250
LOSSY = ("--lose", "0.15", "--fail", "0.1", "--duplicate", "0.05")
RUSHED = {"SAGA_STEP_TIMEOUT": "1", "SAGA_STEP_ATTEMPTS": "50", "SAGA_DEADLINE": "2.5"}
KILLS = 4
RESTORED = '"event": "restored"'


def test_timeouts_and_pauses_are_on_time(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """On an idle pod a due time is seen to in less than 250 ms, be it the end of an attempt or of a pause."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.4, step_attempts=4)
        at.place("silent")
        at.place("failing")
        for attempt in range(1, 5):
            fail(at, "failing", "reservation", attempt)
        for order in ("silent", "failing"):
            at.await_events(order, "saga.stuck")
        firings = fired(decided(at.client, at.topics, 1))
        late = sorted(firing.at_ms - firing.due_ms for firing in firings)
        say(f"late by {late[len(late) // 2]} ms in the middle, {late[-1]} ms at most")
        assert Counter(firing.kind for firing in firings) == {"timeout": 12, "pause": 3}
        assert late[0] >= 0
        assert late[-1] < TOLERANCE_MS
        assert proved(at).totals.stuck == 2


def test_4c_33_due_during_downtime_fires_once_after_what_came_meanwhile_was_read(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Hundreds of sagas, pods away past the due time: answers that came beat their time-outs, all others fire once."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, 2) as at, crowd(at, 300, 2) as orders:
        pod = at.running(step_timeout=4, step_attempts=50)
        placed = [placement.order["order_id"] for placement in orders.place()]
        orders.await_state("awaiting reservation", 300)
        pod.kill()
        shutil.rmtree(at.children.state_of("pod"))
        answered = answer_some(orders, placed)
        due = max(event["due_ms"] for one in orders.decided() for event in one.events if "due_ms" in event)
        until(lambda: time.time() * 1000 > due, "all time-outs to be due")
        pod.start()
        pod.await_ready()
        for name in ("reservation", "payment"):
            orders.service(name)
        orders.await_ended()
        decisions = orders.decided()
        first = [one.saga_id for one in decisions if one.timer == "reservation:do:1:timeout"]
        assert sorted(first) == sorted(set(placed) - answered)
        for number in range(2):
            kinds = ["reply" if is_answer(one, answered) else one.kind for one in decisions if one.partition == number]
            assert "timeout" not in kinds[: len(kinds) - kinds[::-1].index("reply")]
        assert orders.proved().totals.completed == 300


def answer_some(orders: Crowd, placed: list[str]) -> set[str]:
    """A reservation service answers its commands, but loses a third of the replies; whose were sent."""
    whims = Behaviour(lose=0.33)
    answered = {order for order in placed if whims.whim(f"{order}:reservation:do:1", "do").copies}
    service = orders.service("reservation", "--lose", "0.33")
    until(lambda: replies_of(orders, "reservation") == len(answered), "the replies")
    service.stop()
    return answered


def replies_of(orders: Crowd, name: str) -> int:
    """How many replies a service has sent."""
    return sum(len(orders.at.read(f"{name}.replies", number)) for number in range(orders.partitions))


def is_answer(one: Decided, answered: set[str]) -> bool:
    """Whether this is the decision on a reservation's answer that came while the pod was down."""
    return one.saga_id in answered and one.document["cause"].get("type") == "reservation.reserved"


@pytest.mark.slow
def test_4c_34_timers_fire_once_though_pods_are_killed(kafka_bootstrap: str, tmp_path: Path) -> None:
    """kill -9 again and again, on the same state and on none, while time-outs, pauses and deadlines are due."""
    plan, chance, kills = Plan(orders=450, rate=60, seed=34, partitions=4), chances(34), 0
    with running(kafka_bootstrap, plan, tmp_path, LOSSY) as run:
        pods = [rushed(run, "first"), rushed(run, "second")]
        next_kill = time.monotonic()
        for _ in run.going():
            pod = pods[kills % 2]
            if kills < KILLS and time.monotonic() >= next_kill and pod.is_ready:
                kill(run, pod, keep=kills % 4 < 2)
                kills += 1
                next_kill = time.monotonic() + chance.uniform(0, 2)
        counts = Counter(firing.kind for firing in judged(run))
        assert kills == KILLS
        assert all(counts[kind] > 10 for kind in ("timeout", "pause", "deadline")), counts


def rushed(run: Run, name: str, settings: Mapping[str, str] = RUSHED) -> Child:
    """A pod of short time-outs and many attempts; ready when this returns."""
    pod = run.children.pod(SAGA, name, {**QUICK, **settings})
    pod.start()
    pod.await_ready()
    return pod


@pytest.mark.slow
def test_4c_34_timers_fire_once_though_partitions_change_hands(kafka_bootstrap: str, tmp_path: Path) -> None:
    """A second pod comes and goes while timers are due; those that are due in between fire once too."""
    plan, handing_over = Plan(orders=300, rate=40, seed=35, partitions=4), list[tuple[float, float]]()
    with running(kafka_bootstrap, plan, tmp_path, LOSSY) as run:
        staying, guest = rushed(run, "staying"), run.children.pod(SAGA, "guest", {**QUICK, **RUSHED})
        for _ in run.going():
            if len(handing_over) < 2:
                began, times = time.time(), staying.said().count(RESTORED)
                guest.stop() if guest.alive else guest.start()
                until(partial(has_restored, staying, times + 1), "the partitions to have changed hands")
                handing_over.append((began * 1000, time.time() * 1000))
        assert not guest.alive
        firings = judged(run)
        due = [sum(begin < firing.due_ms < end for firing in firings) for begin, end in handing_over]
        say(f"of these, due while partitions changed hands: {due}")
        assert min(due) > 5


def has_restored(pod: Child, times: int) -> bool:
    """Whether a pod has taken partitions over so often."""
    return pod.said().count(RESTORED) >= times


def kill(run: Run, pod: Child, *, keep: bool) -> None:
    """Kills a pod, takes its state away unless it keeps it, and starts it again."""
    pod.kill()
    if not keep:
        shutil.rmtree(run.children.state_of(pod.log.stem), ignore_errors=True)
    pod.start()


def judged(run: Run) -> list[Decided]:
    """The timers that took effect; none did so twice."""
    firings = fired(decided(run.stage.client, run.stage.topics, run.plan.partitions))
    assert twice(firings) == []
    say(f"timers that took effect: {dict(Counter(firing.kind for firing in firings))}")
    return firings


def test_a_deadline_has_what_is_under_way_rolled_back(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Wherever an order is by then, it goes back on time; one that is completed stays so."""
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
        deadlines = fired(decided(at.client, at.topics, 1), "deadline")
        assert {one.saga_id for one in deadlines} == {"first-step", "second-step"}
        assert max(one.at_ms - one.due_ms for one in deadlines) < TOLERANCE_MS
        assert {one.events[0]["because"]["reason"] for one in deadlines} == {"the order's deadline has passed"}
        totals = proved(at).totals
        assert (totals.completed, totals.rejected) == (1, 2)


def test_4a_15_an_ended_order_is_remembered_for_its_time_and_then_forgotten(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Until then duplicates are known for what they are; after it the id is unknown, and may begin anew."""
    port = free_ports(1)[0]
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(remember=3, metrics_host=HOST, metrics_port=port)
        at.place("o")
        complete(at, "o", "reservation", "payment")
        again = at.place("o")
        confirm(at, "o", "payment")
        assert at.await_events("o", "saga.reply.ignored").count("saga.started") == 1
        until(lambda: at.committed("order.requests") > again, "the duplicate to be read")
        assert remembered(port) == 1
        until(lambda: tombstones(at) == [b"o"], "the order to be forgotten")
        until(lambda: remembered(port) == 0, "the count to go down")
        assert at.read("saga.dead-letters") == []
        confirm(at, "o", "payment")
        until(lambda: letters(at) == [b"unknown_order"], "the late reply to be a dead letter")
        at.place("o")
        until(lambda: at.decided("o").count("saga.started") == 2, "the id to begin anew")
        assert at.decisions()[-1]["seq"] == 1
        complete(at, "o", "reservation", "payment")
        totals = proved(at).totals
        assert (totals.orders_distinct, totals.completed) == (1, 2)


def remembered(port: int) -> float:
    """How many ended sagas the pod says that it remembers."""
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("saga_ended{"))


def tombstones(at: Site) -> list[bytes | None]:
    """Whose state was deleted."""
    return [message.key() for message in at.read("saga.state") if message.value() is None]


def letters(at: Site) -> list[bytes | None]:
    """Why records became dead letters."""
    return [dict(message.headers() or ())["__saga.errors.reason"] for message in at.read("saga.dead-letters")]
