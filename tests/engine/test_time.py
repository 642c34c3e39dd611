"""Time-outs through a running orchestrator: after the answers that were there before them, and under any load."""

import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from app.engine.horizon import Horizon
from app.engine.offsets import bounds
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, until
from tests.engine.owner import Place

pytestmark = [pytest.mark.broker, pytest.mark.alone]


def due_ms(at: Site, saga_id: str) -> int:
    """When the last request of a saga times out."""
    requested = [
        event["due_ms"]
        for decision in at.decisions()
        if decision["saga_id"] == saga_id
        for event in decision["events"]
        if "due_ms" in event
    ]
    return int(requested[-1])


def test_a_step_without_an_answer_times_out(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """It is asked for again by the clock alone, with no record coming in; a timer's decision names it as its cause."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.5)
        at.place("slow")
        until(lambda: at.decided("slow").count("saga.step.requested") > 1, "a second attempt")
        decision = at.decisions()[1]
        assert decision["events"][0]["type"] == "saga.step.timed_out"
        assert decision["cause"]["timer"] == "reservation:do:1:timeout"


def test_an_answer_that_came_while_the_pod_was_down_beats_its_timeout(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """At its start nothing has been fetched yet, and the time-out is long due; still the log is read first."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(step_timeout=1)
        at.place("o")
        at.await_events("o", "saga.step.requested")
        assert pod.stop() == 0
        due = due_ms(at, "o")
        at.answer("reservation.replies", "reservation.reserved", "o", "o:reservation:do:1", reservation_id="r")
        until(lambda: time.time() * 1000 > due, "the time-out to be due")
        pod.start()
        until(lambda: len(at.decided("o")) > 2, "a decision after the restart")
        assert at.decided("o")[2:4] == ["saga.step.succeeded", "saga.step.requested"]


def test_a_timeout_is_taken_up_by_the_next_life(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """What was due while no pod ran fires once after the restart, from the local store or from the changelog alone."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        pod = at.running(step_timeout=0.3, step_attempts=1)
        at.place("o")
        at.await_events("o", "saga.step.requested")
        pod.kill()
        empty = at.running("pod-2", step_timeout=0.3, step_attempts=1)
        until(lambda: "saga.compensation.requested" in at.decided("o"), "the time-out to lead back")
        assert at.decided("o").count("saga.step.timed_out") == 1
        assert empty.alive


def test_timeouts_are_not_starved_by_load(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """A partition in which there is always something to read still fires what is due."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=1)
        with Load(at):
            until(lambda: at.decided("slow").count("saga.step.requested") > 1, "a second attempt under load")
        timed_out = at.decisions()[1]
        late = datetime.fromisoformat(timed_out["at"]) - datetime.fromisoformat(timed_out["cause"]["due"])
        assert late < timedelta(seconds=5)


class Load:
    """One order and its duplicates, thousands a second, for as long as the block lasts."""

    def __init__(self, at: Site) -> None:
        self._at = at
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "Load":
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


class Looking:
    """A look at the ends of a partition's inputs, of which only the requests get anything."""

    def __init__(self, place: Place) -> None:
        self.horizon = Horizon(place.client, 10.0)
        self._requests = (place.full("order.requests"), 0)
        self.start = {(place.full(topic.name), 0): 0 for topic in place.topics.inputs}
        bounds(AdminClient(place.client), self.start, LIMIT)  # waits for leaders; the loop would ask again

    def look(self, now_ms: int) -> None:
        """Looks, and waits for the answer, in which nothing is read yet."""
        self.horizon.look(self.start, now_ms)
        until(lambda: self.read(0) >= 0 and not self.horizon._awaited, "the answer")

    def read(self, count: int) -> int:
        """Up to when it is known that all was read, once so many requests were."""
        return self.horizon.until(0, {**self.start, self._requests: count})


def test_what_came_before_is_known(place: Place) -> None:
    """A look at the ends of the inputs tells up to when all of them have been read; nothing is known before it."""
    place.create()
    place.write("order.requests", 3)
    looking = Looking(place)
    assert looking.read(3) == 0
    looking.look(5_000)
    assert looking.read(2) == 0
    assert looking.horizon.until(0, {**looking.start, ("another", 0): 9}) == 0  # an input of which nothing is known
    assert looking.read(3) == 5_000
    looking.look(5_050)  # too soon after the last one
    assert looking.read(9) == 5_000


def test_a_goal_stays_until_it_is_reached(place: Place) -> None:
    """Under a constant stream one that moved with every look never would be; what was known stays known meanwhile."""
    place.create()
    looking = Looking(place)
    for count, now_ms in ((1, 5_000), (1, 6_000)):
        place.write("order.requests", count)
        looking.look(now_ms)
    assert (looking.read(1), looking.read(2)) == (5_000, 5_000)
    looking.look(7_000)
    assert (looking.read(1), looking.read(2)) == (5_000, 7_000)
    looking.horizon.clear()
    assert looking.read(2) == 0


def test_decisions_name_the_timers_due_time(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """What a timer led to says when it was due, to the millisecond."""
    with site(kafka_bootstrap, topic_prefix, tmp_path) as at:
        at.running(step_timeout=0.3, step_attempts=1)
        at.place("o")
        until(lambda: "saga.step.timed_out" in at.decided("o"), "the time-out")
        first, second = at.decisions()[:2]
        assert orjson.dumps(second["cause"]).count(b'"due"') == 1
        assert second["cause"]["due"] > first["at"]
