"""Many orders on a site: placed, answered by sample services, watched, read back as decisions, and proved."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import orjson
from confluent_kafka import TopicPartition

from app.audit.invariants import Report, check
from app.audit.messages import ms_of
from app.audit.read import read
from app.audit.refold import refold
from app.audit.terms import terms_of
from app.demo.children import Child
from app.demo.group import GroupWatch
from app.demo.stage import Stage
from app.demo.watch import Watch
from app.ops import site as ops_site
from app.saga.versions import Versions
from app.samples.orders import Placement, Shares, placements
from app.samples.place import Shop
from app.wire.topics import EVENTS, Topics
from tests.broker.pods import SAGA, Site, read_committed
from tests.devkafka.support import LIMIT, until
from topologies.__main__ import SAGAS

HARMLESS = Shares()
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, in the order of its partition's log; times are in ms since 1970."""

    partition: int
    offset: int
    document: dict[str, Any]

    @property
    def saga_id(self) -> str:
        """Whose it is."""
        return str(self.document["saga_id"])

    @property
    def at_ms(self) -> int:
        """When it was taken."""
        return ms_of(self.document["at"]) or 0

    @property
    def timer(self) -> str | None:
        """The timer that led to it; None for a message."""
        timer = self.document["cause"].get("timer")
        return None if timer is None else str(timer)

    @property
    def due_ms(self) -> int:
        """When the timer was due."""
        return ms_of(self.document["cause"]["due"]) or 0

    @property
    def kind(self) -> str:
        """timeout, pause, room or deadline; empty for a message."""
        return (self.timer or "").rpartition(":")[2]

    @property
    def types(self) -> list[str]:
        """The types of its events."""
        return [event["type"] for event in self.document["events"]]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What happened."""
        return list(self.document["events"])


def decided(client: dict[str, Any], topics: Topics, partitions: int) -> list[Decided]:
    """All decisions so far, partition by partition."""
    name = topics.full(EVENTS)
    return [
        Decided(number, message.offset(), orjson.loads(message.value()))
        for number in range(partitions)
        for message in read_committed(client, TopicPartition(name, number, 0))
    ]


def fired(decisions: Iterable[Decided], *kinds: str) -> list[Decided]:
    """Those that time led to, of these kinds: timeout, pause, deadline unless said otherwise."""
    return [decision for decision in decisions if decision.kind in (kinds or ("timeout", "pause", "deadline"))]


def twice(firings: Iterable[Decided]) -> list[tuple[str, str | None]]:
    """The timers that took effect more than once; a timer is named after its saga and the attempt that it follows."""
    seen: set[tuple[str, str | None]] = set()
    again = []
    for firing in firings:
        timer = (firing.saga_id, firing.timer)
        if timer in seen:
            again.append(timer)
        seen.add(timer)
    return again


class Crowd:
    """The orders of one test, on all partitions of a site."""

    def __init__(self, at: Site, orders: int, partitions: int, seed: int, watch: Watch) -> None:
        self.at, self.orders, self.partitions = at, orders, partitions
        self._seed = seed
        self._watch = watch

    def place(self, shares: Shares = HARMLESS) -> list[Placement]:
        """Places all of them, as fast as it goes; returns what was placed."""
        placed = list(placements(self.orders, self._seed, shares))
        with Shop(ops_site.Site(self.at.client["bootstrap.servers"], self.at.topics.prefix)) as shop:
            for placement in placed:
                shop.place(placement)
        return placed

    def service(self, name: str, *behaviour: str) -> Child:
        """A sample service, on the ledger of an earlier one of its name; started when this returns."""
        service = self.at.children.service(SAGA, name, *behaviour)
        service.start()
        return service

    def await_state(self, state: str, count: int) -> None:
        """Waits until so many sagas are there (`awaiting payment`, `completed`, ...)."""
        self.await_seen(lambda states: states.get(state, 0) >= count, f"{count} sagas {state}")

    def await_ended(self) -> None:
        """Waits until every order has its final outcome."""
        self.await_seen(lambda _: self._watch.seen().ended >= self.orders, f"{self.orders} orders to end")

    def await_seen(self, condition: Callable[[dict[str, int]], bool], what: str) -> None:
        """Waits for a condition on how many sagas are in which state; fails after a minute."""
        deadline = time.monotonic() + LIMIT
        while not condition(self._watch.seen().states):
            seen = self._watch.seen()
            assert time.monotonic() < deadline, f"waited in vain for {what}: {seen.states}, {seen.ended} ended"
            self._watch.look(_LOOK_SECONDS)

    def decided(self) -> list[Decided]:
        """All decisions so far, partition by partition."""
        return decided(self.at.client, self.at.topics, self.partitions)

    def proved(self) -> Report:
        """Every invariant holds, and every order has its one end."""
        report = proved(self.at, self.partitions)
        totals = report.totals
        assert self.orders == totals.orders_distinct == totals.completed + totals.rejected + totals.cancelled
        return report


@contextmanager
def crowd(at: Site, orders: int, partitions: int, seed: int = 1) -> Iterator[Crowd]:
    """Orders that are still to be placed."""
    with closing(Watch(at.client, at.topics, partitions, {})) as watch:
        yield Crowd(at, orders, partitions, seed, watch)


def proved(at: Site, partitions: int = 1, saga: Versions = SAGAS["order"]) -> Report:
    """Waits until the group has read all that there is, and judges all of it: every invariant holds.

    Sagas may be stuck, and nothing else may be under way.
    """
    stage = Stage(ops_site.Site(at.client["bootstrap.servers"], at.topics.prefix), at.topics, terms_of(saga), {})
    with closing(GroupWatch(stage, partitions)) as group:
        until(lambda: group.lag() == 0, "the group to have read everything")
        assert group.went_back == []
    recording = read(at.client, at.topics.prefix, at.group, stage.terms)
    report = check(recording, stage.terms, fold=refold(saga))
    assert [f"{found.invariant} {found.saga_id}: {found.text}" for found in report.violations][:10] == []
    return report


def say(text: str) -> None:
    """A figure of a test; pytest shows it with a failure, or with -rP."""
    print(text)  # noqa: T201
