"""Brokers that die, sleep and restart, and networks that slow down, break and swallow, under load."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from app.devkafka import Broker
from app.wire.topics import STATE
from tests.devkafka.support import until
from tests.faults.frames import Api
from tests.faults.ground import Ground
from tests.faults.proxy import CALM, Moment, Trap, Weather
from tests.faults.roles import coordinator_of, leader_of, quorum_leader
from tests.faults.tally import Tally

SETTINGS = {"session_timeout": 8, "transaction_timeout": 4, "step_timeout": 10}
LIMIT = 90.0


@dataclass(slots=True)
class BrokerFaults:
    """Faults of a ground's cluster, one after the other; each is over when all partitions take decisions again."""

    ground: Ground
    chance: random.Random
    tally: Tally

    def strike(self, fault: str) -> None:
        """Does it, undoes it, and waits until all goes on by itself; fails when it doesn't for a minute and a half."""
        recovery = self.ground.pulse.struck(fault)
        FAULTS[fault](self)
        recovery.heal()
        self.tally.struck(fault)
        deadline = time.monotonic() + LIMIT
        while recovery.seconds is None or not self._all_in_sync():
            assert time.monotonic() < deadline, f"seed {self.ground.seed}: nothing went on after {fault}"
            self._rest(0.2)
        self._rest(1)

    def kill(self, broker: Broker) -> None:
        """kill -9, some seconds without it, and its return."""
        broker.kill()
        self._rest(self.chance.uniform(1, 6))
        broker.start()

    def pause(self, broker: Broker) -> None:
        """It sleeps: its connections stay open, and nothing answers, so that markers are late where it leads."""
        broker.pause()
        self._rest(self.chance.uniform(2, 8))
        broker.resume()

    def rolling(self) -> None:
        """Each broker is restarted in order, one after the other is back."""
        for broker in self.brokers:
            broker.terminate()
            broker.start()
            until(self._all_in_sync, "all replicas to be in sync")

    def blackout(self) -> None:
        """All brokers die at once, and come back after a while."""
        for broker in self.brokers:
            broker.kill()
        self._rest(self.chance.uniform(6, 12))
        for broker in self.brokers:
            broker.launch()
        self.ground.cluster.kafka.await_ready()

    def storm(self) -> None:
        """Pods come and go every few seconds."""
        for number in range(5):
            guest = self.ground.stranger(f"guest-{self.tally.faults.total()}-{number}", **SETTINGS)
            guest.live()
            self._rest(self.chance.uniform(2, 4))
            if self.chance.random() < 0.5:
                guest.child.kill()
            else:
                guest.child.stop()

    def weather(self, weather: Weather, *brokers: int) -> None:
        """The links from the pods to these brokers, or to all, are so for a while."""
        self.ground.cluster.network.change(weather, *brokers)
        self._rest(self.chance.uniform(5, 9))
        self.ground.cluster.network.change(CALM, *brokers)

    def swallow(self, moment: Moment) -> None:
        """A pod's wish to commit, or the answer to it, is lost in silence: nobody knows what came of it."""
        pod = self.chance.choice(self.ground.pods)
        network = self.ground.cluster.network
        trap = network.set(Trap(self.ground.client_id(pod), Api.END_TXN, moment, lambda: None))
        deadline = time.monotonic() + LIMIT
        while not trap.sprung.is_set() and time.monotonic() < deadline:
            self._rest(0.1)
        while not pod.ended and time.monotonic() < deadline:
            self.ground.look()
        assert pod.ended, f"seed {self.ground.seed}: {pod.name} lives on, not knowing what came of its commit"
        network.take_away(trap)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """All of them."""
        return self.ground.cluster.kafka.brokers

    @property
    def leader(self) -> Broker:
        """That of a partition of the changelog."""
        number = self.chance.randrange(self.ground.pulse.partitions)
        return self._broker(leader_of(self._admin, self.ground.stage.topics.full(STATE), number))

    @property
    def group_coordinator(self) -> Broker:
        """That of the pods' group."""
        return self._broker(coordinator_of(self._admin, "__consumer_offsets", self.ground.stage.group))

    @property
    def transaction_coordinator(self) -> Broker:
        """That of one of the pods' lanes."""
        pod = self.chance.choice(self.ground.pods)
        return self._broker(coordinator_of(self._admin, "__transaction_state", f"{self.ground.client_id(pod)}.0"))

    @property
    def controller(self) -> Broker:
        """The one that leads the cluster."""
        return self._broker(quorum_leader(self.brokers[0].address))

    @property
    def _admin(self) -> AdminClient:
        return AdminClient(self.ground.stage.client)

    def _broker(self, number: int) -> Broker:
        return next(broker for broker in self.brokers if broker.id == number)

    def _rest(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.ground.look()
            self.ground.tend()

    def _all_in_sync(self) -> bool:
        topics = self._admin.list_topics(timeout=10).topics
        partitions = [partition for topic in topics.values() for partition in topic.partitions.values()]
        return all(len(partition.isrs) == len(self.brokers) and partition.leader >= 0 for partition in partitions)


FAULTS: dict[str, Callable[[BrokerFaults], None]] = {
    "kill -9 of a changelog's leader": lambda on: on.kill(on.leader),
    "kill -9 of the group's coordinator": lambda on: on.kill(on.group_coordinator),
    "kill -9 of a transaction coordinator": lambda on: on.kill(on.transaction_coordinator),
    "kill -9 of the controller": lambda on: on.kill(on.controller),
    "a changelog's leader asleep": lambda on: on.pause(on.leader),
    "a transaction coordinator asleep": lambda on: on.pause(on.transaction_coordinator),
    "rolling restart": lambda on: on.rolling(),
    "all brokers killed": lambda on: on.blackout(),
    "pods coming and going": lambda on: on.storm(),
    "pods cut off from a broker": lambda on: on.weather(Weather(open=False), on.leader.id),
    "pods cut off from all brokers": lambda on: on.weather(Weather(open=False)),
    "a transaction coordinator's answers lost": lambda on: on.weather(
        Weather(answers=False), on.transaction_coordinator.id
    ),
    "a group coordinator's answers lost": lambda on: on.weather(Weather(answers=False), on.group_coordinator.id),
    "requests to a leader lost": lambda on: on.weather(Weather(asks=False), on.leader.id),
    "a quarter of a second more each way": lambda on: on.weather(Weather(delay=0.25)),
    "connections that break": lambda on: on.weather(Weather(breaks=0.05)),
    "a commit lost on its way": lambda on: on.swallow(Moment.ASKED),
    "a commit's answer lost": lambda on: on.swallow(Moment.ANSWERED),
}
