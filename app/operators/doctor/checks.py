"""All checks by name, for one cluster and saga."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.kafka_access.first_contact import FirstContact, NoAnswer, Unreachable
from app.operators.brokers import Brokers, Deadline
from app.operators.doctor import cluster_checks as of_cluster
from app.operators.doctor import flow_checks, group_checks, local_checks
from app.operators.doctor.examination import Check, examine
from app.operators.doctor.finding import Finding, error, unknown
from app.operators.lag.measure import measure
from app.operators.states import read_all
from app.operators.stuck import StuckSagas
from app.ops.kafka_cluster import KafkaCluster, cluster_of
from app.ops.settings import Settings
from app.wire.topics import Topic, TopicPartitionKey, Topics

EngineCheck = Callable[[Settings, Topics], Iterable[Finding]]
_CONTACT_SECONDS = 8.0
_PATIENCE_SECONDS = 3.0  # without a record of `saga.state`


@dataclass(frozen=True, slots=True)
class EngineChecks:
    """The checks of a pod's start, which only the composition root can make: topics, and permissions.

    The check of permissions initialises a transactional id.
    """

    topics: EngineCheck
    permissions: EngineCheck


def all_findings(settings: Settings, topics: Topics, engine: EngineChecks, deadline: Deadline) -> Iterator[Finding]:
    """The findings of all checks; when no broker answers, of those that need none."""
    yield from local_checks.settings_findings(settings, os.environ)
    yield from local_checks.state_findings(settings.state_dir)
    cluster = cluster_of(settings)  # reads files that settings name
    contact = Deadline(deadline.left(min(_CONTACT_SECONDS, deadline.seconds / 2)))
    try:
        FirstContact(cluster.client()).first_answer(contact.seconds, local=cluster.security.local)
    except Unreachable as failed:
        yield error("brokers", str(failed), passes=isinstance(failed, NoAnswer))  # they may just be down
        yield unknown("others", "topics, permissions, group, lag, transactions, participants, stuck: need a broker")
        return
    yield from examine(_with_brokers(_Subject(settings, topics, cluster, deadline), engine), deadline)


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the checks look at; each has a client of its own, so that none waits for another's."""

    settings: Settings
    topics: Topics
    cluster: KafkaCluster
    deadline: Deadline

    @property
    def brokers(self) -> Brokers:
        return Brokers(self.cluster, self.deadline)

    def keys(self, brokers: Brokers, topics: Iterable[Topic]) -> list[TopicPartitionKey]:
        """The partitions of those topics that exist; the check of topics names the others."""
        existing = brokers.metadata().topics
        names = [self.topics.full(topic) for topic in topics]
        return [(name, number) for name in names if name in existing for number in sorted(existing[name].partitions)]


def _with_brokers(at: _Subject, engine: EngineChecks) -> Mapping[str, Check]:
    def permissions() -> Iterable[Finding]:
        return engine.permissions(at.settings, at.topics)

    return {
        "brokers": lambda: of_cluster.broker_findings(at.brokers),
        "topics": lambda: engine.topics(at.settings, at.topics),
        "replicas": lambda: of_cluster.replica_findings(at.brokers.metadata(), at.topics),
        "permissions": lambda: of_cluster.clock_findings(at.cluster, permissions, at.deadline),
        "group": lambda: _group(at),
        "lag": lambda: _lag(at),
        "transactions": lambda: _transactions(at),
        "participants": lambda: _participants(at),
        "stuck": lambda: _stuck(at),
    }


def _group(at: _Subject) -> Iterator[Finding]:
    brokers = at.brokers
    return group_checks.group_findings(brokers.group(at.settings.group_id), at.keys(brokers, at.topics.inputs))


def _lag(at: _Subject) -> Iterator[Finding]:
    found = measure(at.cluster, at.settings.group_id, at.topics.inputs, at.deadline)
    return flow_checks.lag_findings(found, _now_ms())


def _transactions(at: _Subject) -> Iterator[Finding]:
    brokers = at.brokers
    keys = at.keys(brokers, at.topics.all)
    patience = Deadline(at.deadline.left(_PATIENCE_SECONDS))
    held = flow_checks.open_transactions(at.cluster, brokers, at.settings.group_id, keys, patience)
    return flow_checks.transaction_findings(held, at.settings.kafka_bootstrap, _now_ms())


def _participants(at: _Subject) -> Iterator[Finding]:
    brokers = at.brokers
    keys = at.keys(brokers, at.topics.all)
    return flow_checks.participant_findings(brokers, at.topics.saga.steps, at.topics.prefix, keys, _now_ms())


def _stuck(at: _Subject) -> Iterator[Finding]:
    sagas = StuckSagas()
    # Leaves time to say what was not read.
    limit = Deadline(at.deadline.left() * 0.8)
    unread = read_all(at.cluster, sagas.take, _PATIENCE_SECONDS, limit=limit, **{"group.id": at.settings.group_id})
    return flow_checks.stuck_findings(sagas, sagas.steps(), unread)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
