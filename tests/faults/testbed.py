"""One saga's topics, services and orders on a cluster, and pods that are restarted when they end, as by Kubernetes."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from confluent_kafka.admin import AdminClient

from app.audit.spec import spec_of
from app.demo.children import Child, Children
from app.demo.group import GroupWatch
from app.demo.placing import Placing
from app.demo.plan import Plan
from app.demo.stage import Stage
from app.engine.kafka import topics_admin
from app.ops.kafka_cluster import KafkaCluster
from app.saga.versions import Versions
from app.wire.topics import Topics
from tests.broker.pods import SAGA
from tests.devkafka.support import until
from tests.faults.cluster import Cluster
from tests.faults.decision_watch import DecisionWatch
from tests.faults.pod_process import PodProcess
from topologies.__main__ import SAGAS

_EXPECTED_EXITS = (0, 1, -signal.SIGKILL, -signal.SIGXFSZ)  # neither a refusal to start nor a bug
_RESTORED = '"event": "state restored"'
_ASSIGNED = '"event": "partitions assigned"'
FAULTY_SERVICES = ("--duplicate", "0.05", "--slow", "0.02", "--slow-delay", "100-600", "--fail", "0.02")


class UnexpectedExit(AssertionError):
    """A pod ended with an exit code or a traceback that no injected fault explains."""


@dataclass(slots=True)
class Pod:
    """An instance id, and the processes that run under it one after the other."""

    name: str
    settings: dict[str, str]
    state: Path
    log: Path
    starts: int = 0
    process: PodProcess = field(init=False)

    def start(self, *fault: str) -> None:
        """Starts a process; `fault` (see tests.faults.fault_points) applies to this one only."""
        self.process = PodProcess((*fault, "run"), self.settings, self.log)
        self.starts += 1

    def kill(self) -> None:
        """Kills the process, if there is one."""
        if self.starts:
            self.process.kill()

    @property
    def ended(self) -> bool:
        """Whether the process has ended. Raises UnexpectedExit."""
        if self.process.alive:
            return False
        log = self.process.log_text()
        if self.process.exit_code not in _EXPECTED_EXITS or "Traceback" in log:
            raise UnexpectedExit(f"{self.name} ended with {self.process.exit_code}; its log ends with:\n{log[-3000:]}")
        return True

    @property
    def partitions(self) -> frozenset[int]:
        """The partitions that the process owns and has restored; none while it restores the latest assignment."""
        lines = self._assignment_log()
        if not lines or _RESTORED not in lines[-1]:
            return frozenset()
        return frozenset(next(orjson.loads(line)["partitions"] for line in reversed(lines) if _ASSIGNED in line))

    @property
    def restored_at(self) -> str:
        """When (RFC 3339, UTC) the process finished its latest restore; empty if never."""
        lines = reversed(self._assignment_log())
        return str(next((orjson.loads(line)["timestamp"] for line in lines if _RESTORED in line), ""))

    def _assignment_log(self) -> list[str]:
        return [line for line in self.process.log_text().splitlines() if _ASSIGNED in line or _RESTORED in line]

    @property
    def paused(self) -> bool:
        """Whether the process is stopped by SIGSTOP."""
        try:
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except FileNotFoundError:
            return False


@dataclass(slots=True)
class Testbed:
    """One saga on a cluster: its pods, services and orders, and what watches them."""

    cluster: Cluster
    stage: Stage
    saga: Versions
    children: Children
    watch: DecisionWatch
    group: GroupWatch
    placing: Placing
    seed: int
    pods: list[Pod] = field(default_factory=list)
    guests: list[Pod] = field(default_factory=list)
    services: list[Child] = field(default_factory=list)

    def client_id(self, pod: Pod) -> str:
        """The client id in a pod's requests."""
        return f"{self.stage.group}.{pod.name}"

    def pod(self, name: str, **settings: object) -> Pod:
        """A pod that is not started yet, and runs until the end of the round."""
        self.pods.append(self._pod(name, settings))
        return self.pods[-1]

    def guest(self, name: str, **settings: object) -> Pod:
        """A pod that is not started yet, and may leave before the end of the round."""
        self.guests.append(self._pod(name, settings))
        return self.guests[-1]

    def _pod(self, name: str, settings: Mapping[str, object]) -> Pod:
        state = self.children.state_of(name)
        given = {f"SAGA_{key.upper()}": str(value) for key, value in settings.items()}
        own = {
            "SAGA_KAFKA_BOOTSTRAP": self.cluster.network.bootstrap,
            "SAGA_INSTANCE_ID": name,
            "SAGA_STATE_DIR": str(state),
        }
        return Pod(name, {**self.stage.environment, **own, **given}, state, self.children.folder / f"{name}.log")

    def observe(self, seconds: float = 0.1) -> None:
        """Reads decisions for this long, and restarts services that gave up. Raises an error of the order placing."""
        self.watch.poll(seconds)
        _ = self.placing.done  # raises the error of the placing thread
        for service in self.services:
            if not service.alive:
                service.start()

    def restart_ended_pods(self) -> list[Pod]:
        """Starts every pod that has ended; returns these pods."""
        ended = [pod for pod in self.pods if pod.ended]
        for pod in ended:
            pod.start()
        return ended

    def start_services(self, *behaviour: str) -> None:
        """Starts the sample services, or restarts them with another behaviour."""
        for service in self.services:
            service.stop()
        self.services = [self.children.service(SAGA, step.name, *behaviour) for step in self.saga.steps]
        for service in self.services:
            service.start()

    def start_pods(self, seconds: float) -> None:
        """Starts the pods, and waits until they own all partitions."""
        for pod in self.pods:
            pod.start()
        self.await_all_owned("at the start", seconds)

    def await_all_owned(self, when: str, seconds: float) -> None:
        """Waits until the pods own all partitions, each at least one; restarts pods that end meanwhile."""
        deadline = time.monotonic() + seconds
        while not self._all_owned():
            if time.monotonic() > deadline:
                raise AssertionError(f"{when}: some partitions had no owner after {seconds:.0f} s\n{self.logs()}")
            self.restart_ended_pods()
            self.observe()

    def logs(self) -> str:
        """The end of each pod's log."""
        return "\n".join(f"{pod.name}: {pod.process.log_text()[-1500:]}" for pod in self.pods)

    def _all_owned(self) -> bool:
        shares = [pod.partitions for pod in self.pods]
        return all(shares) and sorted(number for share in shares for number in share) == [*range(self.watch.partitions)]


def _topics_known(cluster: Cluster, topics: Topics) -> bool:
    names = {topics.full(topic) for topic in topics.all}
    admins = (AdminClient({"bootstrap.servers": broker.address, "log_level": 0}) for broker in cluster.kafka.brokers)
    return all(names <= admin.list_topics(timeout=10).topics.keys() for admin in admins)


@contextmanager
def open_testbed(
    cluster: Cluster, folder: Path, plan: Plan, behaviour: Sequence[str] = FAULTY_SERVICES, saga: str = "order"
) -> Iterator[Testbed]:
    """Creates topics, and starts services and the placing of orders; the caller adds pods. Ends all processes."""
    versions = SAGAS[saga]
    kafka = KafkaCluster(cluster.kafka.bootstrap, f"faults-{plan.seed}-{time.time_ns() % 10**9}.")
    environment = {"SAGA_KAFKA_BOOTSTRAP": kafka.bootstrap, "SAGA_TOPIC_PREFIX": kafka.prefix, "SAGA_DEFINITION": saga}
    stage = Stage(kafka, Topics(versions, kafka.prefix), spec_of(versions), environment)
    topics_admin.create(cluster.client, stage.topics, plan.partitions, len(cluster.kafka.brokers))
    until(lambda: _topics_known(cluster, stage.topics), "every broker to know the topics")
    with ExitStack() as stack:
        children = stack.enter_context(Children(folder, stage.environment))
        watch = stack.enter_context(closing(DecisionWatch(cluster.client, stage.topics, plan.partitions)))
        group = stack.enter_context(closing(GroupWatch(stage, plan.partitions)))
        placing = Placing(stage.cluster, plan)
        testbed = Testbed(cluster, stage, versions, children, watch, group, placing, plan.seed)
        testbed.start_services(*behaviour, "--seed", str(plan.seed))
        with placing:
            try:
                yield testbed
            finally:
                for pod in (*testbed.pods, *testbed.guests):
                    pod.kill()
