"""The least permissions: written down once, enough for every part, and each that is missing is named."""

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AclBinding
from typer import Typer
from typer.testing import CliRunner, Result

from app import runner
from app.audit.cli import app as audit
from app.demo.children import Child, Children
from app.engine import admin
from app.engine.clients import Clients
from app.engine.errors import Refused
from app.engine.trial import try_out
from app.operators.cli import app as operators
from app.ops.settings import load
from app.ops.site import site_of
from app.saga.versions import Versions
from app.samples.orders import Shares, placements
from app.samples.place import Shop
from app.wire.rights import Right, Rights
from app.wire.topics import EVENTS, OUTCOMES, REQUESTS, STATE, Topics
from tests.broker.pods import QUICK, SAGA, placed, read_committed, said
from tests.devkafka.support import LIMIT, until
from tests.engine.test_command import refusal, saga
from tests.security.guarded import rules
from tests.security.permitted import Permitted
from topologies.order import ORDER

VERSIONS = Versions((ORDER,))
UNPREFIXED = Rights(Topics(VERSIONS), "saga-orchestrator")


@pytest.fixture(scope="module")
def orchestrator(site: Permitted) -> dict[str, Any]:
    """The settings of an orchestrator that has what it needs."""
    return site.user("orchestrator")


def names(rule: AclBinding) -> str:
    """How the check names what a rule grants."""
    kind, operation = rule.restype.name.lower().replace("_", "-"), rule.operation.name.title().replace("_", "")
    return f"{operation} on {kind} {rule.name}{'*' if rule.resource_pattern_type.name == 'PREFIXED' else ''}"


def checked(clients: Clients, topics: Topics, rights: Rights) -> None:
    """All that is checked before anything is done."""
    admin.check(clients.plain(), topics, 1)
    try_out(clients, rights)


@pytest.mark.broker
def test_the_least_is_enough_to_start(site: Permitted, orchestrator: dict[str, Any]) -> None:
    """The whole command says that all is well."""
    ended = saga("topics", "check", **orchestrator)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.broker
@pytest.mark.parametrize("number", range(len(rules("", UNPREFIXED.by_role["orchestrator"]))))
def test_4d_53_a_missing_permission_is_named(site: Permitted, orchestrator: dict[str, Any], number: int) -> None:
    """It, and nothing else; given back, all is well again."""
    rule = rules(orchestrator["kafka_user"], site.rights.by_role["orchestrator"])[number]
    clients = runner.clients(load(**orchestrator))
    site.broker.revoke(rule)
    try:
        with pytest.raises(Refused) as found:
            checked(clients, site.rights.topics, site.rights)
    finally:
        site.broker.grant([rule])
    told = f"this user lacks permissions: {names(rule)}; grant them as `saga topics acls` prints them"
    assert str(found.value) == told


@pytest.mark.broker
def test_4d_53_a_pod_that_loses_a_permission_ends(site: Permitted, tmp_path: Path) -> None:
    """What it could write of a decision never counts; and its next life names what is missing."""
    user = site.user("orchestrator")
    topics = site.rights.topics
    lost = next(right for right in site.rights.orchestrators_topics if right.name == topics.full(EVENTS))
    plain = {"bootstrap.servers": site.broker.plain, "log_level": 2}
    with Children(tmp_path, environment(user)) as children:
        pod = running(children, "pod")
        site.broker.revoke(next(rule for rule in rules(user["kafka_user"], [lost]) if rule.operation.name == "WRITE"))
        producer = Producer(plain)
        producer.produce(topics.full(REQUESTS), placed("o-lost"), b"o-lost", headers=said("order.place", "o-lost"))
        producer.flush(LIMIT)
        until(lambda: not pod.alive, "the pod to end")
        assert pod.stop() in {1, 2}
    assert [line[:6] for line in pod.said().splitlines() if not line.startswith("{")] == ["saga: "]
    with pytest.raises(Refused, match=f"lacks permissions: Write on topic {lost.name}; grant"):
        admin.check(runner.clients(load(**user)).plain(), topics, 1)
    written = [topics.full(topic) for topic in (*topics.outputs, STATE)]
    assert [name for name in written for _ in read_committed(plain, TopicPartition(name, 0, 0))] == []


@pytest.mark.broker
def test_4d_53_a_pod_that_may_not_join_its_group_says_so(site: Permitted, tmp_path: Path) -> None:
    """It finds out when it joins, and ends at once."""
    user = site.user("orchestrator")
    site.broker.revoke(rules(user["kafka_user"], [site.rights.orchestrators_group])[0])
    told = refusal(saga("run", state_dir=tmp_path, **user))
    assert told.startswith(f"this user lacks permissions: Read on group {site.rights.group}; ")


@pytest.mark.broker
def test_4d_54_a_pod_whose_password_was_changed_ends(site: Permitted, tmp_path: Path) -> None:
    """Once it must prove itself anew; started again it reads the password anew, and says what is wrong with it."""
    user = {**site.user("orchestrator"), "kafka_bootstrap": site.broker.addresses["brief"]}
    with Children(tmp_path, environment(user)) as children:
        pod = running(children, "pod")
        site.broker.know(user["kafka_user"], "another password")
        until(lambda: not pod.alive, "the pod to end")
        assert pod.stop() == 1
    told = [line for line in pod.said().splitlines() if not line.startswith("{")]
    assert told == [
        "saga: a broker doesn't know this user by its password any more: the next start reads the password anew"
    ]
    with pytest.raises(Refused, match=r"doesn't know the user .* by this password"):
        admin.check(runner.clients(load(**user)).plain(), site.rights.topics, 1)


@pytest.mark.slow
@pytest.mark.broker
def test_an_order_goes_its_way_with_the_least_permissions(site: Permitted, tmp_path: Path) -> None:
    """Encrypted, each with a name, a password and only the permissions of its part, from the shop to the auditor."""
    users = {role: site.user(role) for role in site.rights.by_role}
    with Children(tmp_path, {}) as children:
        for name in ("reservation", "payment"):
            ledger = ("--ledger", str(tmp_path / f"{name}.sqlite"))
            children.add(name, [*SAGA, "serve", name, *ledger], environment(users[name])).start()
        running(children, "pod", environment(users["orchestrator"]))
        with Shop(site_of(load(**users["shop"]))) as shop:
            for placement in placements(3, 7, Shares()):
                shop.place(placement)
        until(lambda: called(audit, users["auditor"], "check").exit_code == 0, "all orders to end")
        assert called(operators, users["operator"], "stuck").exit_code == 0
        asked = called(operators, users["operator"], "retry", "o-none", "--reason", "x", "--operator", "olga")
    assert asked.stdout.startswith("o-none is not known: no order of this id was placed")
    outcomes = TopicPartition(site.rights.topics.full(OUTCOMES), 0, 0)
    plain = {"bootstrap.servers": site.broker.plain, "log_level": 2}
    assert {dict(each.headers())["ce_type"] for each in read_committed(plain, outcomes)} == {b"order.completed"}


def environment(user: dict[str, Any]) -> dict[str, str]:
    """The settings as a process is given them."""
    return QUICK | {f"SAGA_{name.upper()}": str(value) for name, value in user.items()}


def running(children: Children, name: str, more: dict[str, str] | None = None) -> Child:
    """A pod that has started."""
    pod = children.pod(SAGA, name, more)
    pod.start()
    pod.await_ready()
    return pod


def called(command: Typer, user: dict[str, Any], *words: str) -> Result:
    """What came of somebody's command."""
    return CliRunner(env=environment(user)).invoke(command, words, obj=VERSIONS)


@pytest.mark.parametrize("role", UNPREFIXED.by_role)
def test_nobody_may_more_than_read_and_write(role: str) -> None:
    """Nobody makes, alters or deletes anything, or has a say over the cluster; few write, and only one the history."""
    granted = UNPREFIXED.by_role[role]
    assert {what for right in granted for what in right.operations} <= {"Read", "Write", "Describe", "DescribeConfigs"}
    assert {right.kind for right in granted} <= {"topic", "group", "transactional-id"}
    kept = {"saga.events", "saga.state", "saga.dead-letters", "order.outcomes", "payment.commands"}
    if role != "orchestrator":
        assert not [right for right in granted if right.name in kept and "Write" in right.operations]


def test_they_are_printed_for_the_broker() -> None:
    """A line for each thing, as its own tool takes it, for the names that the settings lead to."""
    lines = saga("topics", "acls", "--user", "saga", topic_prefix="p.", group="g").stdout.splitlines()
    start = 'kafka-acls.sh --bootstrap-server "$BROKERS" --add --allow-principal User:saga'
    assert f"{start} --operation Read --operation Write --operation DescribeConfigs --topic p.order.requests" in lines
    assert f"{start} --operation Write --operation DescribeConfigs --topic p.payment.commands" in lines
    assert f"{start} --operation Read --group p.g" in lines
    assert f"{start} --operation Write --transactional-id p.g. --resource-pattern-type prefixed" in lines
    assert len(lines) == len(UNPREFIXED.by_role["orchestrator"])


def test_a_role_that_is_not_there_is_told() -> None:
    """With those that are."""
    none = saga("topics", "acls", "--user", "pay", "--role", "cook")
    assert (none.returncode, none.stderr) == (
        2,
        "saga: there is no role cook, but orchestrator, reservation, payment, shop, operator, auditor\n",
    )


def test_rights_are_told_as_rules() -> None:
    """In the words of the broker's own tool."""
    assert Right("topic", "t", ("Read",)).rule == "--operation Read --topic t"
