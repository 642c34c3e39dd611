"""The least permissions of each role: they suffice, and each one that is missing is named."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclBinding
from typer import Typer
from typer.testing import CliRunner, Result

from app import runner
from app.audit.cli import app as audit
from app.demo.children import Child, Children
from app.engine.errors import NeedsOperator
from app.engine.kafka import topics_admin
from app.engine.kafka.client_config import ClientConfig
from app.engine.kafka.permission_probe import try_out
from app.operators.cli import app as operators
from app.ops.kafka_cluster import cluster_of
from app.ops.settings import load
from app.saga.versions import Versions
from app.samples.shop.orders import placements
from app.samples.shop.shop_client import ShopClient
from app.wire.acls import Acl, Acls
from app.wire.topics import EVENTS, OUTCOMES, REQUESTS, STATE, Topics
from tests.broker.pods import QUICK, SAGA, placed, read_committed, said
from tests.devkafka.support import LIMIT, until
from tests.engine.test_command import refusal, saga
from tests.security.guarded import rules
from tests.security.secured_topics import SecuredTopics
from topologies.order import ORDER

VERSIONS = Versions((ORDER,))
UNPREFIXED = Acls(Topics(VERSIONS), "saga-orchestrator")


@pytest.fixture(scope="module")
def orchestrator(secured: SecuredTopics) -> dict[str, Any]:
    """The settings of an orchestrator with all the permissions of its role."""
    return secured.user("orchestrator")


def names(rule: AclBinding) -> str:
    """The operation that a rule grants, as the start-up check names it."""
    kind, operation = rule.restype.name.lower().replace("_", "-"), rule.operation.name.title().replace("_", "")
    return f"{operation} on {kind} {rule.name}{'*' if rule.resource_pattern_type.name == 'PREFIXED' else ''}"


def check_all(clients: ClientConfig, topics: Topics, acls: Acls) -> None:
    """All checks of a start."""
    topics_admin.check(clients.common(), topics, 1)
    try_out(clients, acls)


def ending(log: str) -> tuple[str, int]:
    """The sentence and exit code in the last line of a pod's log; every line must be JSON."""
    lines = [orjson.loads(line) for line in log.splitlines()]
    return lines[-1]["event"], lines[-1]["exit_code"]


@pytest.mark.broker
def test_the_least_is_enough_to_start(secured: SecuredTopics, orchestrator: dict[str, Any]) -> None:
    """`saga topics check` succeeds."""
    ended = saga("topics", "check", **orchestrator)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.broker
@pytest.mark.parametrize("number", range(len(rules("", UNPREFIXED.by_role["orchestrator"]))))
def test_4d_53_a_missing_permission_is_named(secured: SecuredTopics, orchestrator: dict[str, Any], number: int) -> None:
    """That one and no other."""
    rule = rules(orchestrator["kafka_user"], secured.acls.by_role["orchestrator"])[number]
    clients = runner.client_config(load(**orchestrator))
    secured.broker.revoke(rule)
    try:
        with pytest.raises(NeedsOperator) as found:
            check_all(clients, secured.acls.topics, secured.acls)
    finally:
        secured.broker.grant([rule])
    sentence = f"this user lacks permissions: {names(rule)}; grant them as `saga topics acls` prints them"
    assert str(found.value) == sentence


@pytest.mark.broker
def test_4d_53_a_pod_that_loses_a_permission_ends(secured: SecuredTopics, tmp_path: Path) -> None:
    """The decision that it could not write completely is aborted; its next start names the permission."""
    user = secured.user("orchestrator")
    topics = secured.acls.topics
    lost = next(acl for acl in secured.acls.orchestrator_topics if acl.name == topics.full(EVENTS))
    plain = {"bootstrap.servers": secured.broker.plain, "log_level": 2}
    with Children(tmp_path, environment(user)) as children:
        pod = running(children, "pod")
        secured.broker.revoke(
            next(rule for rule in rules(user["kafka_user"], [lost]) if rule.operation.name == "WRITE")
        )
        producer = Producer(plain)
        producer.produce(topics.full(REQUESTS), placed("o-lost"), b"o-lost", headers=said("order.place", "o-lost"))
        producer.flush(LIMIT)
        until(lambda: not pod.alive, "the pod to end")
        exit_code = pod.stop()
    assert exit_code in {1, 2}
    assert ending(pod.said())[1] == exit_code
    with pytest.raises(NeedsOperator, match=f"lacks permissions: Write on topic {lost.name}; grant"):
        topics_admin.check(runner.client_config(load(**user)).common(), topics, 1)
    written = [topics.full(topic) for topic in (*topics.outputs, STATE)]
    assert [name for name in written for _ in read_committed(plain, TopicPartition(name, 0, 0))] == []


@pytest.mark.broker
def test_4d_53_a_pod_that_may_not_join_its_group_says_so(secured: SecuredTopics, tmp_path: Path) -> None:
    """It ends at once, with the permission that it lacks."""
    user = secured.user("orchestrator")
    secured.broker.revoke(rules(user["kafka_user"], [secured.acls.orchestrator_group])[0])
    sentence = refusal(saga("run", state_dir=tmp_path, **user))
    assert sentence.startswith(f"this user lacks permissions: Read on group {secured.acls.group}; ")


@pytest.mark.broker
def test_4d_54_a_pod_whose_password_was_changed_ends(secured: SecuredTopics, tmp_path: Path) -> None:
    """When it must authenticate again; the next start reads the password file again, and names the wrong password."""
    user = {**secured.user("orchestrator"), "kafka_bootstrap": secured.broker.addresses["brief"]}
    with Children(tmp_path, environment(user)) as children:
        pod = running(children, "pod")
        secured.broker.set_password(user["kafka_user"], "another password")
        until(lambda: not pod.alive, "the pod to end")
        assert pod.stop() == 1
    sentence = "a broker rejects this user's credentials: the next start reads the password again"
    assert ending(pod.said()) == (sentence, 1)
    with pytest.raises(NeedsOperator, match=r"doesn't know the user .* by this password"):
        topics_admin.check(runner.client_config(load(**user)).common(), secured.acls.topics, 1)


@pytest.mark.slow
@pytest.mark.broker
def test_orders_complete_with_the_least_permissions(secured: SecuredTopics, tmp_path: Path) -> None:
    """From the shop to the auditor each has TLS, a user, a password and only the permissions of its role."""
    users = {role: secured.user(role) for role in secured.acls.by_role}
    with Children(tmp_path, {}) as children:
        for name in ("reservation", "payment"):
            ledger = ("--ledger", str(tmp_path / f"{name}.sqlite"))
            children.add(name, [*SAGA, "serve", name, *ledger], environment(users[name])).start()
        running(children, "pod", environment(users["orchestrator"]))
        with ShopClient(cluster_of(load(**users["shop"]))) as shop:
            for placement in placements(3, 7):
                shop.place(placement)
        until(lambda: called(audit, users["auditor"], "check").exit_code == 0, "all orders to end")
        assert called(operators, users["operator"], "stuck").exit_code == 0
        answered = called(operators, users["operator"], "retry", "o-none", "--reason", "x", "--operator", "olga")
    assert answered.stdout.startswith("o-none is not known: no order of this id was placed")
    outcomes = TopicPartition(secured.acls.topics.full(OUTCOMES), 0, 0)
    plain = {"bootstrap.servers": secured.broker.plain, "log_level": 2}
    assert {dict(each.headers())["ce_type"] for each in read_committed(plain, outcomes)} == {b"order.completed"}


def environment(user: dict[str, Any]) -> dict[str, str]:
    """The settings as environment variables."""
    return QUICK | {f"SAGA_{name.upper()}": str(value) for name, value in user.items()}


def running(children: Children, name: str, more: dict[str, str] | None = None) -> Child:
    """A pod that is started and ready."""
    pod = children.pod(SAGA, name, more)
    pod.start()
    pod.await_ready()
    return pod


def called(command: Typer, user: dict[str, Any], *words: str) -> Result:
    """The result of a user's command."""
    return CliRunner(env=environment(user)).invoke(command, words, obj=VERSIONS)


@pytest.mark.parametrize("role", UNPREFIXED.by_role)
def test_no_role_may_do_more_than_read_and_write(role: str) -> None:
    """None may create, alter or delete anything, or act on the cluster; only the orchestrator writes its outputs."""
    granted = UNPREFIXED.by_role[role]
    allowed = {"Read", "Write", "Describe", "DescribeConfigs"}
    assert {operation for acl in granted for operation in acl.operations} <= allowed
    assert {acl.kind for acl in granted} <= {"topic", "group", "transactional-id"}
    outputs = {"saga.events", "saga.state", "saga.dead-letters", "order.outcomes", "payment.commands"}
    if role != "orchestrator":
        assert not [acl for acl in granted if acl.name in outputs and "Write" in acl.operations]


def test_acls_are_printed_as_commands() -> None:
    """One `kafka-acls.sh` command for each resource, with the names of the settings."""
    lines = saga("topics", "acls", "--user", "saga", topic_prefix="p.", group="g").stdout.splitlines()
    start = 'kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal User:saga'
    assert f"{start} --operation Read --operation Write --operation DescribeConfigs --topic p.order.requests" in lines
    assert f"{start} --operation Write --operation DescribeConfigs --topic p.payment.commands" in lines
    assert f"{start} --operation Read --group p.g" in lines
    assert f"{start} --operation Write --transactional-id p.g. --resource-pattern-type prefixed" in lines
    assert len(lines) == len(UNPREFIXED.by_role["orchestrator"])


def test_an_unknown_role_is_refused() -> None:
    """The sentence lists the roles."""
    refused = saga("topics", "acls", "--user", "pay", "--role", "cook")
    assert (refused.returncode, refused.stderr) == (
        2,
        "saga: there is no role cook, but orchestrator, reservation, payment, shop, operator, redrive, auditor, "
        "tracer\n",
    )


def test_an_acl_has_the_arguments_of_the_tool() -> None:
    """Those of `kafka-acls.sh`."""
    assert Acl("topic", "t", ("Read",)).rule == "--operation Read --topic t"
