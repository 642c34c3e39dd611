"""Very many timers due at once: they fire in small batches, and other records are decided meanwhile."""

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
from tests.broker.order_load import Decision, OrderLoad, fired, fired_twice, order_load, say
from tests.broker.pods import Site, placed, said, site
from tests.devkafka.support import LIMIT, until

pytestmark = [pytest.mark.broker, pytest.mark.alone, pytest.mark.slow]
PARTITIONS = 4
BATCH_LIMIT = 2000 + PARTITIONS  # timers
PROBE_SECONDS = 0.1
MAX_SECONDS = 2.0
MAX_MIB = 500


def test_4c_37_a_mass_of_due_timers_delays_no_new_order(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """30,000 time-outs and as many deadlines are due at a restart: all fire, and new orders are decided meanwhile."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, order_load(at, 30_000, PARTITIONS) as orders:
        pod, back_ms = restart_with_all_due(orders, seconds=5)
        with closing(Probes(at)) as probes:
            started = time.monotonic()
            probes.watch_expiry(orders.orders)
            say(f"{2 * orders.orders} timers took {time.monotonic() - started:.1f} s; memory {peak_mib(pod):.0f} MiB")
        took = sorted(probes.took)
        say(f"{len(took)} new orders were decided in {took[len(took) // 2]:.2f} s, or {took[-1]:.2f} s at most")
        assert took[-1] < MAX_SECONDS
        assert peak_mib(pod) < MAX_MIB
        assert pod.said().count('"event": "partitions assigned"') == 1
        check_fired(orders, back_ms)


def test_4c_37_orders_that_expire_in_a_mass_are_rolled_back_once(
    kafka_bootstrap: str, topic_prefix: str, tmp_path: Path
) -> None:
    """Once the participants are up, each of these orders is rolled back once."""
    with site(kafka_bootstrap, topic_prefix, tmp_path, PARTITIONS) as at, order_load(at, 1_000, PARTITIONS) as orders:
        _, back_ms = restart_with_all_due(orders, seconds=2)
        for name in ("reservation", "payment"):
            orders.service(name)
        orders.await_ended()
        check_fired(orders, back_ms)
        assert orders.check_invariants().totals.rejected == orders.orders


def restart_with_all_due(orders: OrderLoad, seconds: float) -> tuple[Child, int]:
    """A pod that was down until all first time-outs and deadlines were due, and when it restarted (ms since 1970)."""
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
    """Places this many small orders as fast as possible."""
    topic = at.topics.full("order.requests")
    for number in range(orders):
        order = f"o-{number}"
        partition = partition_of(order.encode(), PARTITIONS)
        at.producer.produce(topic, placed(order), order.encode(), partition, headers=said("order.place", order))
        if number % 1000 == 0:
            at.producer.poll(0)
    assert at.producer.flush(LIMIT) == 0


def check_fired(orders: OrderLoad, back_ms: int) -> None:
    """Each order's first time-out and its deadline fired once, in batches that are small and follow closely.

    On a slow computer the first timers fire before the pod is killed, as placing the orders takes that long.
    """
    firings = fired(orders.decisions())
    assert fired_twice(firings) == []
    mass = [one for one in firings if one.timer in ("reservation:do:1:timeout", "deadline") and is_of_mass(one)]
    assert Counter(one.kind for one in mass) == {"timeout": orders.orders, "deadline": orders.orders}
    batches = Counter(one.at_ms for one in mass)
    gaps = [(later - earlier) / 1000 for earlier, later in pairwise(sorted(at for at in batches if at >= back_ms))]
    say(f"{len(batches)} batches of {max(batches.values())} timers at most, {max(gaps):.2f} s apart at most")
    assert max(batches.values()) <= BATCH_LIMIT
    assert max(gaps) < MAX_SECONDS


def is_of_mass(one: Decision) -> bool:
    """Whether it is of the orders whose timers were all due, not of one placed later."""
    return one.saga_id.startswith("o-")


def peak_mib(pod: Child) -> float:
    """The peak memory of a pod in MiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pod.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


class Probes:
    """Places an order every 0.1 s while many expire. `took`: seconds until the decision on each was read."""

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
        """Runs until the deadlines of this many orders have fired, and every probe is decided."""
        end = time.monotonic() + LIMIT
        while self._expired < orders or self._waiting:
            assert time.monotonic() < end, f"{self._expired} of {orders} have expired"
            if self._expired < orders:
                self._probe()
            for message in self._reader.consume(2000, 0.02):
                self._take(message)

    def close(self) -> None:
        """Closes the consumer."""
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
