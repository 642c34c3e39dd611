"""Where faults happen: one saga's topics and services on a cluster, and pods that are started again whenever they end,
as a platform would."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from confluent_kafka.admin import AdminClient

from app.audit.terms import terms_of
from app.demo.children import Child, Children
from app.demo.group import GroupWatch
from app.demo.placing import Placing
from app.demo.plan import Plan
from app.demo.stage import Stage
from app.engine import admin
from app.ops.site import Site
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.broker.pods import SAGA
from tests.devkafka.support import until
from tests.faults.cluster import Cluster
from tests.faults.lives import Life
from tests.faults.pulse import Pulse
from topologies.__main__ import SAGAS

_SELF_MADE = (0, 1, -signal.SIGKILL, -signal.SIGXFSZ)  # how a pod may end here: never refused, never by a bug
_RESTORED = '"event": "restored"'
_ASSIGNED = '"event": "assigned"'
MISHAPS = ("--duplicate", "0.05", "--slow", "0.02", "--slow-delay", "100-600", "--fail", "0.02")


class BadEnd(AssertionError):
    """A pod ended in a way in which none may."""


@dataclass(slots=True)
class Pod:
    """A name in the group, and its lives. What `at` says (see tests.faults.at) becomes of one life alone."""

    name: str
    settings: dict[str, str]
    state: Path
    log: Path
    lives: int = 0
    child: Life = field(init=False)

    def live(self, *at: str) -> None:
        """Begins a life."""
        self.child = Life((*at, "run"), self.settings, self.log)
        self.lives += 1

    def end(self) -> None:
        """Ends what still lives."""
        if self.lives:
            self.child.kill()

    @property
    def ended(self) -> bool:
        """Whether this life is over. Raises BadEnd for an end that is none of ours."""
        if self.child.alive:
            return False
        said = self.child.said()
        if self.child.exit_code not in _SELF_MADE or "Traceback" in said:
            raise BadEnd(f"{self.name} ended with {self.child.exit_code}; its log ends with:\n{said[-3000:]}")
        return True

    @property
    def partitions(self) -> frozenset[int]:
        """What this life has and may work on: it was given them last, and has their state."""
        told = self._told()
        if not told or _RESTORED not in told[-1]:
            return frozenset()
        return frozenset(next(orjson.loads(line)["partitions"] for line in reversed(told) if _ASSIGNED in line))

    @property
    def taken_at(self) -> str:
        """When (RFC 3339, UTC) it had the state of what it was given last."""
        return str(next((orjson.loads(line)["timestamp"] for line in reversed(self._told()) if _RESTORED in line), ""))

    def _told(self) -> list[str]:
        return [line for line in self.child.said().splitlines() if _ASSIGNED in line or _RESTORED in line]

    @property
    def asleep(self) -> bool:
        """Whether it was stopped by a signal."""
        try:
            return Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except FileNotFoundError:
            return False


@dataclass(slots=True)
class Ground:
    """One saga's round on a cluster."""

    cluster: Cluster
    stage: Stage
    saga: Versions
    children: Children
    pulse: Pulse
    group: GroupWatch
    placing: Placing
    seed: int
    pods: list[Pod] = field(default_factory=list)
    strangers: list[Pod] = field(default_factory=list)
    services: list[Child] = field(default_factory=list)

    def client_id(self, pod: Pod) -> str:
        """As what a pod's requests are known."""
        return f"{self.stage.group}.{pod.name}"

    def pod(self, name: str, **settings: object) -> Pod:
        """A pod that is not started yet, and is there to stay."""
        self.pods.append(self._pod(name, settings))
        return self.pods[-1]

    def stranger(self, name: str, **settings: object) -> Pod:
        """A pod that is not started yet, and may be gone at the end."""
        self.strangers.append(self._pod(name, settings))
        return self.strangers[-1]

    def _pod(self, name: str, settings: Mapping[str, object]) -> Pod:
        state = self.children.state_of(name)
        given = {f"SAGA_{key.upper()}": str(value) for key, value in settings.items()}
        own = {
            "SAGA_KAFKA_BOOTSTRAP": self.cluster.network.bootstrap,
            "SAGA_INSTANCE_ID": name,
            "SAGA_STATE_DIR": str(state),
        }
        return Pod(name, {**self.stage.environment, **own, **given}, state, self.children.folder / f"{name}.log")

    def look(self, seconds: float = 0.1) -> None:
        """Lets some time pass, and sees what comes of it; services that gave up are started again."""
        self.pulse.look(seconds)
        _ = self.placing.done  # raises what keeps orders from being placed
        for service in self.services:
            if not service.alive:
                service.start()

    def tend(self) -> list[Pod]:
        """Starts every pod again that has ended; returns them."""
        ended = [pod for pod in self.pods if pod.ended]
        for pod in ended:
            pod.live()
        return ended

    def serve(self, *behaviour: str) -> None:
        """Starts the services, or starts them anew in another mood."""
        for service in self.services:
            service.stop()
        self.services = [self.children.service(SAGA, step.name, *behaviour) for step in self.saga.steps]
        for service in self.services:
            service.start()

    def begin(self, seconds: float) -> None:
        """Starts the pods, and waits until they share all partitions."""
        for pod in self.pods:
            pod.live()
        self.await_all("at the start", seconds)

    def await_all(self, when: str, seconds: float) -> None:
        """Waits until the pods share all partitions, each of them one at least; tends them."""
        deadline = time.monotonic() + seconds
        while not self._shared():
            if time.monotonic() > deadline:
                raise AssertionError(f"{when}: not all partitions were shared in {seconds:.0f} s\n{self.logs()}")
            self.tend()
            self.look()

    def logs(self) -> str:
        """What the pods said last."""
        return "\n".join(f"{pod.name}: {pod.child.said()[-1500:]}" for pod in self.pods)

    def _shared(self) -> bool:
        shares = [pod.partitions for pod in self.pods]
        return all(shares) and sorted(number for share in shares for number in share) == [*range(self.pulse.partitions)]


def _is_known(at: Cluster, topics: Topics) -> bool:
    names = {topics.full(topic) for topic in topics.all}
    asked = (AdminClient({"bootstrap.servers": broker.address, "log_level": 0}) for broker in at.kafka.brokers)
    return all(names <= admin.list_topics(timeout=10).topics.keys() for admin in asked)


@contextmanager
def ground(
    at: Cluster, folder: Path, plan: Plan, behaviour: Sequence[str] = MISHAPS, saga: str = "order"
) -> Iterator[Ground]:
    """Topics of its own, services, and orders being placed; pods are the caller's. All processes end with the block."""
    versions = SAGAS[saga]
    place = Site(at.kafka.bootstrap, f"faults-{plan.seed}-{time.time_ns() % 10**9}.")
    environment = {"SAGA_KAFKA_BOOTSTRAP": place.bootstrap, "SAGA_TOPIC_PREFIX": place.prefix, "SAGA_DEFINITION": saga}
    stage = Stage(place, Topics(versions, place.prefix), terms_of(versions), environment)
    admin.create(at.client, stage.topics, plan.partitions, len(at.kafka.brokers))
    until(lambda: _is_known(at, stage.topics), "every broker to know the topics")
    with ExitStack() as stack:
        children = stack.enter_context(Children(folder, stage.environment))
        pulse = stack.enter_context(closing(Pulse(at.client, stage.topics, plan.partitions)))
        group = stack.enter_context(closing(GroupWatch(stage, plan.partitions)))
        placing = Placing(stage.site, plan)
        found = Ground(at, stage, versions, children, pulse, group, placing, plan.seed)
        found.serve(*behaviour, "--seed", str(plan.seed))
        with placing:
            try:
                yield found
            finally:
                for pod in (*found.pods, *found.strangers):
                    pod.end()
