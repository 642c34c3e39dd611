"""Very many due times at once: the pod sees to them in small bites, and to everybody else meanwhile."""

import re
import time
from collections import Counter
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from app.demo.children import Child
from app.wire.partition import partition_of
from tests.broker.crowd import Crowd, Decided, crowd, fired, say, twice
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, until

pytestmark = [pytest.mark.broker, pytest.mark.alone, pytest.mark.slow]
PARTITIONS = 4
IN_A_BATCH = 2000 + PARTITIONS  # due times
PROBE_SECONDS = 0.1
BEARABLE_SECONDS = 2.0
BEARABLE_MIB = 500


def test_4c_37_a_mass_of_due_times_stalls_nobody(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """30,000 time-outs and as many deadlines are due when the pod comes back: all fire, and new orders are served."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, crowd(at, 30_000, PARTITIONS) as orders:
        pod, back_ms = all_due(orders, seconds=5)
        with closing(Probes(at)) as probes:
            started = time.monotonic()
            probes.watch_expiry(orders.orders)
            say(f"{2 * orders.orders} due times took {time.monotonic() - started:.1f} s; memory {size_of(pod):.0f} MiB")
        took = sorted(probes.took)
        say(f"{len(took)} new orders were decided in {took[len(took) // 2]:.2f} s, or {took[-1]:.2f} s at most")
        assert took[-1] < BEARABLE_SECONDS
        assert size_of(pod) < BEARABLE_MIB
        assert pod.said().count('"event": "assigned"') == 1
        judge(orders, back_ms)


def test_4c_37_what_expired_in_a_mass_ends_well(kafka_bootstrap: str, topic_prefix: str, tmp_path: Path) -> None:
    """Once participants are back all of it is rolled back, each order once."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, crowd(at, 1_000, PARTITIONS) as orders:
        _, back_ms = all_due(orders, seconds=2)
        for name in ("reservation", "payment"):
            orders.service(name)
        orders.await_ended()
        judge(orders, back_ms)
        assert orders.proved().totals.rejected == orders.orders


def all_due(orders: Crowd, seconds: float) -> tuple[Child, int]:
    """A pod that was away until all first time-outs and deadlines were due, and when it came back (ms since 1970)."""
    place(orders.at, orders.orders)
    deadline = seconds + 0.5
    pod = orders.at.running(step_timeout=seconds, deadline=deadline, step_attempts=1000, poll_timeout=10)
    orders.await_state("awaiting reservation", orders.orders)
    pod.kill()
    due = time.monotonic() + deadline
    until(lambda: time.monotonic() > due, "all deadlines to be due")
    back_ms = time.time_ns() // 1_000_000
    pod.start()
    pod.await_ready()
    return pod, back_ms


def place(at: Site, orders: int) -> None:
    """Places small orders, as fast as it goes."""
    topic = at.topics.full("order.requests")
    for number in range(orders):
        order = f"o-{number}"
        home = partition_of(order.encode(), PARTITIONS)
        at.producer.produce(topic, placed(order), order.encode(), home, headers=said("order.place", order))
        if number % 1000 == 0:
            at.producer.poll(0)
    assert at.producer.flush(LIMIT) == 0


def judge(orders: Crowd, back_ms: int) -> None:
    """Each order's first time-out and its deadline took effect once, in bites that are small and follow closely.

    On a slow machine the first ones fire before the pod goes away, as orders are placed for that long.
    """
    firings = fired(orders.decided())
    assert twice(firings) == []
    mass = [one for one in firings if one.timer in ("reservation:do:1:timeout", "deadline") and is_old(one)]
    assert Counter(one.kind for one in mass) == {"timeout": orders.orders, "deadline": orders.orders}
    bites = Counter(one.at_ms for one in mass)
    pauses = [(later - earlier) / 1000 for earlier, later in pairwise(sorted(at for at in bites if at >= back_ms))]
    say(f"{len(bites)} bites of {max(bites.values())} at most, {max(pauses):.2f} s apart at most")
    assert max(bites.values()) <= IN_A_BATCH
    assert max(pauses) < BEARABLE_SECONDS


def is_old(one: Decided) -> bool:
    """Whether it is of the orders that were all due, not of one that was placed since."""
    return one.saga_id.startswith("o-")


def size_of(pod: Child) -> float:
    """The most memory (MiB) that a pod ever had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pod.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class Probes:
    """Places an order every now and then while many expire; `took`: seconds until the decision on each was read."""

    def __init__(self, at: Site) -> None:
        self._at = at
        settings = {"group.id": "unused", "isolation.level": "read_committed", "fetch.wait.max.ms": 10}
        self._reader = Consumer({**at.client, **settings, "enable.auto.commit": False})
        name = at.topics.full("saga.events")
        self._reader.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])
        self._placed_at: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._expired = 0
        self.took: list[float] = []

    def watch_expiry(self, orders: int) -> None:
        """Until the deadlines of so many orders have fired, and all that was placed meanwhile is decided."""
        end = time.monotonic() + LIMIT
        while self._expired < orders or self._waiting:
            assert time.monotonic() < end, f"{self._expired} of {orders} have expired"
            if self._expired < orders:
                self._probe()
            for message in self._reader.consume(2000, 0.02):
                self._take(message)

    def close(self) -> None:
        """Ends the reading."""
        self._reader.close()

    def _probe(self) -> None:
        now = time.monotonic()
        if now - max(self._placed_at.values(), default=0) > PROBE_SECONDS:
            order = f"probe-{len(self._placed_at)}"
            self._at.place(order, partition_of(order.encode(), PARTITIONS))
            self._placed_at[order] = now
            self._waiting.add(order)

    def _take(self, message: Message) -> None:
        saga = (message.key() or b"").decode()
        if saga in self._waiting:
            self._waiting.remove(saga)
            self.took.append(time.monotonic() - self._placed_at[saga])
        elif orjson.loads(message.value() or b"")["cause"].get("timer") == "deadline":
            self._expired += 1
