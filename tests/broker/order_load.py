"""Many orders on a site: placed, answered by sample services, watched, read back as decisions, and audited."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import TopicPartition

from app.audit.check import check
from app.audit.checks.state_fold import state_fold
from app.audit.recording.from_kafka import read
from app.audit.recording.records import ms_of
from app.audit.report.report import Report
from app.audit.spec import spec_of
from app.demo.children import Child
from app.demo.group import GroupWatch
from app.demo.stage import Stage
from app.demo.watch import Watch
from app.ops.kafka_cluster import KafkaCluster
from app.saga.versions import Versions
from app.samples.shop.orders import OrderMix, Placement, placements
from app.samples.shop.shop_client import ShopClient
from app.wire.topics import EVENTS, Topics
from tests.broker.pods import SAGA, Site, read_committed
from tests.devkafka.support import LIMIT, until
from topologies.__main__ import SAGAS

VALID_ORDERS = OrderMix()
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of the events topic. Times are in ms since 1970."""

    partition: int
    offset: int
    document: dict[str, Any]

    @property
    def saga_id(self) -> str:
        """The id of its saga."""
        return str(self.document["saga_id"])

    @property
    def at_ms(self) -> int:
        """When it was taken."""
        return ms_of(self.document["at"]) or 0

    @property
    def timer(self) -> str | None:
        """The timer that caused it; None if a message did."""
        timer = self.document["cause"].get("timer")
        return None if timer is None else str(timer)

    @property
    def due_ms(self) -> int:
        """When that timer was due."""
        return ms_of(self.document["cause"]["due"]) or 0

    @property
    def kind(self) -> str:
        """The kind of that timer: timeout, pause, room or deadline; empty for a message."""
        return (self.timer or "").rpartition(":")[2]

    @property
    def types(self) -> list[str]:
        """The types of its events."""
        return [event["type"] for event in self.document["events"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its events."""
        return list(self.document["events"])


def read_decisions(client: dict[str, Any], topics: Topics, partitions: int) -> list[Decision]:
    """All decisions so far, partition by partition, each in log order."""
    name = topics.full(EVENTS)
    return [
        Decision(number, message.offset(), orjson.loads(message.value()))
        for number in range(partitions)
        for message in read_committed(client, TopicPartition(name, number, 0))
    ]


def fired(decisions: Iterable[Decision], *kinds: str) -> list[Decision]:
    """The decisions that timers of these kinds caused; by default timeout, pause and deadline."""
    return [decision for decision in decisions if decision.kind in (kinds or ("timeout", "pause", "deadline"))]


def fired_twice(firings: Iterable[Decision]) -> list[tuple[str, str | None]]:
    """The timers that fired more than once. A timer is named by its saga and the attempt that it follows."""
    seen: set[tuple[str, str | None]] = set()
    repeated = []
    for firing in firings:
        timer = (firing.saga_id, firing.timer)
        if timer in seen:
            repeated.append(timer)
        seen.add(timer)
    return repeated


class OrderLoad:
    """The orders of one test, spread over all partitions of a site."""

    def __init__(self, at: Site, orders: int, partitions: int, seed: int, watch: Watch) -> None:
        self.at, self.orders, self.partitions = at, orders, partitions
        self._seed = seed
        self._watch = watch

    def place(self, shares: OrderMix = VALID_ORDERS) -> list[Placement]:
        """Places all orders as fast as possible; returns what was placed."""
        placed = list(placements(self.orders, self._seed, shares))
        with ShopClient(KafkaCluster(self.at.client["bootstrap.servers"], self.at.topics.prefix)) as shop:
            for placement in placed:
                shop.place(placement)
        return placed

    def service(self, name: str, *behaviour: str) -> Child:
        """Starts a sample service; it continues the ledger of an earlier service of that name."""
        service = self.at.children.service(SAGA, name, *behaviour)
        service.start()
        return service

    def await_state(self, state: str, count: int) -> None:
        """Waits until at least this many sagas are in a state (`awaiting payment`, `completed`, ...)."""
        self.await_states(lambda states: states.get(state, 0) >= count, f"{count} sagas {state}")

    def await_ended(self) -> None:
        """Waits until every order has its final outcome."""
        self.await_states(lambda _: self._watch.seen().ended >= self.orders, f"{self.orders} orders to end")

    def await_states(self, condition: Callable[[dict[str, int]], bool], what: str) -> None:
        """Waits for a condition on the counts of sagas by state; fails after a minute."""
        deadline = time.monotonic() + LIMIT
        while not condition(self._watch.seen().states):
            seen = self._watch.seen()
            assert time.monotonic() < deadline, (
                f"waited {LIMIT:.0f} s in vain for {what}: {seen.states}, {seen.ended} ended"
            )
            self._watch.look(_POLL_SECONDS)

    def decisions(self) -> list[Decision]:
        """All decisions so far, partition by partition, each in log order."""
        return read_decisions(self.at.client, self.at.topics, self.partitions)

    def check_invariants(self) -> Report:
        """Checks that every invariant holds, and that every order ended exactly once."""
        report = check_invariants(self.at, self.partitions)
        totals = report.totals
        assert self.orders == totals.orders_distinct == totals.completed + totals.rejected + totals.cancelled
        return report


@contextmanager
def order_load(at: Site, orders: int, partitions: int, seed: int = 1) -> Iterator[OrderLoad]:
    """Orders that are not placed yet."""
    with closing(Watch(at.client, at.topics, partitions, {})) as watch:
        yield OrderLoad(at, orders, partitions, seed, watch)


def check_invariants(at: Site, partitions: int = 1, saga: Versions = SAGAS["order"]) -> Report:
    """Waits until the group has no lag, and audits the topics: every invariant holds, and offsets never went back.

    Sagas may be stuck, but none may be active.
    """
    stage = Stage(KafkaCluster(at.client["bootstrap.servers"], at.topics.prefix), at.topics, spec_of(saga), {})
    with closing(GroupWatch(stage, partitions)) as group:
        until(lambda: group.lag() == 0, "the group to have read everything")
        assert group.went_back == []
    recording = read(at.client, at.topics.prefix, at.group, stage.terms)
    report = check(recording, stage.terms, fold=state_fold(saga))
    assert [f"{found.invariant} {found.saga_id}: {found.text}" for found in report.violations][:10] == []
    return report


def say(text: str) -> None:
    """Prints a measured figure; pytest shows it with a failure, or with -rP."""
    print(text)  # noqa: T201
