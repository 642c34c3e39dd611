"""Faults of brokers and of the network under load: brokers are killed, paused and restarted, links slowed and cut."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient

from app.devkafka import Broker
from app.wire.topics import STATE
from tests.devkafka.support import until
from tests.faults.broker_roles import coordinator_of, leader_of, quorum_leader
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import HEALTHY, Link, Moment, Trap
from tests.faults.results import Results
from tests.faults.testbed import Testbed

SETTINGS = {"session_timeout": 8, "transaction_timeout": 4, "step_timeout": 10}
LIMIT = 90.0


@dataclass(slots=True)
class BrokerFaults:
    """Injects faults into a testbed's cluster, one at a time; each ends when all partitions decide again."""

    testbed: Testbed
    rng: random.Random
    results: Results

    def inject(self, fault: str) -> None:
        """Injects and heals the fault, then waits for the recovery; fails when there is none within 90 s."""
        recovery = self.testbed.watch.on_fault(fault)
        FAULTS[fault](self)
        recovery.mark_healed()
        self.results.count_fault(fault)
        deadline = time.monotonic() + LIMIT
        while recovery.seconds is None or not self._all_in_sync():
            assert time.monotonic() < deadline, f"seed {self.testbed.seed}: no recovery in {LIMIT:.0f} s from: {fault}"
            self._observe(0.2)
        self._observe(1)

    def kill(self, broker: Broker) -> None:
        """Kills a broker (kill -9), and starts it again after 1 to 6 s."""
        broker.kill()
        self._observe(self.rng.uniform(1, 6))
        broker.start()

    def pause(self, broker: Broker) -> None:
        """Pauses a broker: connections stay open without responses, and transaction markers it leads come late."""
        broker.pause()
        self._observe(self.rng.uniform(2, 8))
        broker.resume()

    def rolling_restart(self) -> None:
        """Restarts each broker in order (SIGTERM), once all replicas are in sync again."""
        for broker in self.brokers:
            broker.terminate()
            broker.start()
            until(self._all_in_sync, "all replicas to be in sync")

    def kill_all(self) -> None:
        """Kills all brokers at once, and starts them again after 6 to 12 s."""
        for broker in self.brokers:
            broker.kill()
        self._observe(self.rng.uniform(6, 12))
        for broker in self.brokers:
            broker.launch()
        self.testbed.cluster.kafka.await_ready()

    def rebalance_storm(self) -> None:
        """Five more pods join and leave, 2 to 4 s each; about half of them are killed."""
        for number in range(5):
            guest = self.testbed.guest(f"guest-{self.results.faults.total()}-{number}", **SETTINGS)
            guest.start()
            self._observe(self.rng.uniform(2, 4))
            if self.rng.random() < 0.5:
                guest.process.kill()
            else:
                guest.process.stop()

    def degrade(self, link: Link, *brokers: int) -> None:
        """Changes the links from the pods to these brokers, or to all, for 5 to 9 s."""
        self.testbed.cluster.network.change(link, *brokers)
        self._observe(self.rng.uniform(5, 9))
        self.testbed.cluster.network.change(HEALTHY, *brokers)

    def lose_commit(self, moment: Moment) -> None:
        """Loses an EndTxn request of a pod, or its response: the outcome is unknown, so the pod must end."""
        pod = self.rng.choice(self.testbed.pods)
        network = self.testbed.cluster.network
        trap = network.add(Trap(self.testbed.client_id(pod), Api.END_TXN, moment, lambda: None))
        deadline = time.monotonic() + LIMIT
        while not trap.triggered.is_set() and time.monotonic() < deadline:
            self._observe(0.1)
        while not pod.ended and time.monotonic() < deadline:
            self.testbed.observe()
        assert pod.ended, f"seed {self.testbed.seed}: {pod.name} goes on after a commit of unknown outcome"
        network.remove(trap)

    @property
    def brokers(self) -> tuple[Broker, ...]:
        """All brokers of the cluster."""
        return self.testbed.cluster.kafka.brokers

    @property
    def leader(self) -> Broker:
        """The leader of a random partition of the changelog."""
        number = self.rng.randrange(self.testbed.watch.partitions)
        return self._broker(leader_of(self._admin, self.testbed.stage.topics.full(STATE), number))

    @property
    def group_coordinator(self) -> Broker:
        """The coordinator of the pods' consumer group."""
        return self._broker(coordinator_of(self._admin, "__consumer_offsets", self.testbed.stage.group))

    @property
    def transaction_coordinator(self) -> Broker:
        """The transaction coordinator of a random pod's first producer."""
        pod = self.rng.choice(self.testbed.pods)
        return self._broker(coordinator_of(self._admin, "__transaction_state", f"{self.testbed.client_id(pod)}.0"))

    @property
    def controller(self) -> Broker:
        """The active controller of the cluster."""
        return self._broker(quorum_leader(self.brokers[0].address))

    @property
    def _admin(self) -> AdminClient:
        return AdminClient(self.testbed.stage.client)

    def _broker(self, number: int) -> Broker:
        return next(broker for broker in self.brokers if broker.id == number)

    def _observe(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.testbed.observe()
            self.testbed.restart_ended_pods()

    def _all_in_sync(self) -> bool:
        topics = self._admin.list_topics(timeout=10).topics
        partitions = [partition for topic in topics.values() for partition in topic.partitions.values()]
        return all(len(partition.isrs) == len(self.brokers) and partition.leader >= 0 for partition in partitions)


FAULTS: dict[str, Callable[[BrokerFaults], None]] = {
    "kill -9 of a changelog leader": lambda on: on.kill(on.leader),
    "kill -9 of the group coordinator": lambda on: on.kill(on.group_coordinator),
    "kill -9 of a transaction coordinator": lambda on: on.kill(on.transaction_coordinator),
    "kill -9 of the controller": lambda on: on.kill(on.controller),
    "changelog leader paused": lambda on: on.pause(on.leader),
    "transaction coordinator paused": lambda on: on.pause(on.transaction_coordinator),
    "rolling restart": lambda on: on.rolling_restart(),
    "all brokers killed": lambda on: on.kill_all(),
    "pods joining and leaving": lambda on: on.rebalance_storm(),
    "one broker unreachable": lambda on: on.degrade(Link(open=False), on.leader.id),
    "all brokers unreachable": lambda on: on.degrade(Link(open=False)),
    "responses of a transaction coordinator lost": lambda on: on.degrade(
        Link(responses=False), on.transaction_coordinator.id
    ),
    "responses of the group coordinator lost": lambda on: on.degrade(Link(responses=False), on.group_coordinator.id),
    "requests to a changelog leader lost": lambda on: on.degrade(Link(requests=False), on.leader.id),
    "250 ms of delay each way": lambda on: on.degrade(Link(delay=0.25)),
    "connections broken at random": lambda on: on.degrade(Link(breaks=0.05)),
    "EndTxn request lost": lambda on: on.lose_commit(Moment.REQUEST_RECEIVED),
    "EndTxn response lost": lambda on: on.lose_commit(Moment.RESPONSE_RECEIVED),
}
