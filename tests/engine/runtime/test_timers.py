"""Timers through a running orchestrator: after the replies that came before them, and under any load."""

import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from app.engine.assignment.partition_task import PartitionTask
from app.engine.assignment.read_frontier import EndOffsetRequests
from app.engine.assignment.start_offsets import log_bounds
from app.engine.state.store import PartitionStore
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, until
from tests.engine.sandbox import Sandbox

pytestmark = [pytest.mark.broker, pytest.mark.alone]


def due_ms(at: Site, saga_id: str) -> int:
    """When (ms since 1970) the last request of a saga times out."""
    requested = [
        event["due_ms"]
        for decision in at.decisions()
        if decision["saga_id"] == saga_id
        for event in decision["events"]
        if "due_ms" in event
    ]
    return int(requested[-1])


def test_a_step_without_a_reply_times_out(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The retry needs only the clock, no record; its decision names the timer as its cause."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.5)
        at.place("slow")
        until(lambda: at.decided("slow").count("saga.step.requested") > 1, "a second attempt")
        decision = at.decisions()[1]
        assert decision["events"][0]["type"] == "saga.step.timed_out"
        assert decision["cause"]["timer"] == "reservation:do:1:timeout"


def test_a_reply_that_came_while_the_pod_was_down_beats_its_timeout(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """At the start nothing was fetched yet, and the timeout is long due; still the inputs are read first."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(step_timeout=1)
        at.place("o")
        at.await_events("o", "saga.step.requested")
        assert pod.stop() == 0
        due = due_ms(at, "o")
        at.answer("reservation.replies", "reservation.reserved", "o", "o:reservation:do:1", reservation_id="r")
        until(lambda: time.time() * 1000 > due, "the timeout to be due")
        pod.start()
        until(lambda: len(at.decided("o")) > 2, "a decision after the restart")
        assert at.decided("o")[2:4] == ["saga.step.succeeded", "saga.step.requested"]


def test_a_timeout_fires_after_a_restart(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A timer due while no pod ran fires once after the restart, from local state or from the changelog alone."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(step_timeout=0.3, step_attempts=1)
        at.place("o")
        at.await_events("o", "saga.step.requested")
        pod.kill()
        successor = at.running("pod-2", step_timeout=0.3, step_attempts=1)
        until(lambda: "saga.compensation.requested" in at.decided("o"), "the rollback after the timeout")
        assert at.decided("o").count("saga.step.timed_out") == 1
        assert successor.alive


def test_timeouts_are_not_starved_by_load(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A partition with an endless backlog still fires its timers."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=1)
        with DuplicateLoad(at):
            until(lambda: at.decided("slow").count("saga.step.requested") > 1, "a second attempt under load")
        timed_out = at.decisions()[1]
        delay = datetime.fromisoformat(timed_out["at"]) - datetime.fromisoformat(timed_out["cause"]["due"])
        assert delay < timedelta(seconds=5)


class DuplicateLoad:
    """One order and its duplicates, thousands a second, for the duration of the block."""

    def __init__(self, at: Site) -> None:
        self._at = at
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "DuplicateLoad":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        producer = Producer({**self._at.client, "linger.ms": 0})
        headers, value, topic = said("order.place", "d"), placed("slow"), self._at.topics.full("order.requests")
        while not self._over.wait(0.001):
            for _ in range(20):
                producer.produce(topic, value, b"slow", 0, headers=headers)
            producer.poll(0)
        producer.flush(10)


class FrontierProbe:
    """The frontier of one partition; only the requests among its inputs get records."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.end_offsets = EndOffsetRequests(sandbox.client, 10.0)
        self._requests = sandbox.full("order.requests")
        self.start = {sandbox.full(topic.name): 0 for topic in sandbox.topics.inputs}
        self.task = PartitionTask(0, cast("PartitionStore", None), self.start)
        inputs = [(topic, 0) for topic in self.start]
        log_bounds(AdminClient(sandbox.client), inputs, LIMIT)  # waits for leaders; the loop would retry

    def request_ends(self, now_ms: int) -> None:
        """Requests the end offsets, and waits for the answer."""
        self.end_offsets.request([(topic, 0) for topic in self.start], now_ms)
        until(lambda: self.read_up_to_ms(0) >= 0 and not self.end_offsets._awaited, "the answer")

    def read_up_to_ms(self, count: int) -> int:
        """The frontier (ms) once so many requests were read."""
        self.end_offsets.hand_out({0: self.task})
        return self.task.frontier.read_up_to_ms({**self.start, self._requests: count})


def test_the_frontier_follows_the_end_offsets(sandbox: Sandbox) -> None:
    """End offsets show up to when all inputs were read; before that nothing is known."""
    sandbox.create()
    sandbox.write("order.requests", 3)
    probe = FrontierProbe(sandbox)
    assert probe.read_up_to_ms(3) == 0
    probe.request_ends(5_000)
    assert probe.read_up_to_ms(2) == 0
    assert probe.task.frontier.read_up_to_ms({**probe.start, "unknown": 9}) == 0
    assert probe.read_up_to_ms(3) == 5_000
    probe.request_ends(5_050)  # too soon after the last request
    assert probe.read_up_to_ms(9) == 5_000


def test_a_goal_stays_until_it_is_reached(sandbox: Sandbox) -> None:
    """In a constant stream, a goal that moved with each request would never be reached; the last frontier stays."""
    sandbox.create()
    probe = FrontierProbe(sandbox)
    for count, now_ms in ((1, 5_000), (1, 6_000)):
        sandbox.write("order.requests", count)
        probe.request_ends(now_ms)
    assert (probe.read_up_to_ms(1), probe.read_up_to_ms(2)) == (5_000, 5_000)
    probe.request_ends(7_000)
    assert (probe.read_up_to_ms(1), probe.read_up_to_ms(2)) == (5_000, 7_000)


def test_decisions_name_the_timers_due_time(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """The cause of the decision has the due time, to the millisecond."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.3, step_attempts=1)
        at.place("o")
        until(lambda: "saga.step.timed_out" in at.decided("o"), "the timeout")
        first, second = at.decisions()[:2]
        assert orjson.dumps(second["cause"]).count(b'"due"') == 1
        assert second["cause"]["due"] > first["at"]
