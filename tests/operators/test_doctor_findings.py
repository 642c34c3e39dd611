"""What the doctor makes of facts: levels, sentences, exit codes, and a deadline for all checks."""

import json
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupState, TopicPartition
from confluent_kafka.admin import ConsumerGroupDescription, MemberAssignment, MemberDescription
from rich.console import Console

from app.operators.brokers import Deadline
from app.operators.doctor import doctor_output, flow_checks, local_checks
from app.operators.doctor.cluster_checks import clock_finding, clock_findings, some
from app.operators.doctor.examination import Check, examine
from app.operators.doctor.finding import ACT, FINE, LOOK, Finding, Level, error, exit_code, ok, unknown, warning
from app.operators.doctor.group_checks import group_findings
from app.operators.lag.partition_lag import PartitionLag
from app.operators.stuck import StuckSagas, StuckStep
from app.ops.errors import CommandFailed
from app.ops.kafka_cluster import KafkaCluster
from app.ops.settings import load

INPUTS = [("order.requests", 0), ("order.requests", 1)]
LAG = PartitionLag("order.requests", 0, 5, 0, 8, 8, "pod", 1_000)


def test_the_worst_finding_is_the_exit_code() -> None:
    """What passes by itself is not worth waking a person for."""
    fine = [ok("a", "b"), unknown("a", "b")]
    assert exit_code([]) == exit_code(fine) == FINE
    assert exit_code([*fine, warning("a", "b", "c")]) == exit_code([error("a", "b", passes=True)]) == LOOK
    assert exit_code([warning("a", "b", "c"), error("a", "b"), *fine]) == ACT


def test_checks_that_hang_or_fail_hide_no_others() -> None:
    """Each has its finding, in order, by the deadline; the text of an unexpected error is left out."""
    never = threading.Event()

    def hangs() -> Iterable[Finding]:
        never.wait(60)
        return []

    def fails() -> Iterator[Finding]:
        yield ok("fails", "first")
        raise ValueError("secret")

    def refused() -> Iterable[Finding]:
        raise CommandFailed("no Kafka: start one")

    begun = time.monotonic()
    checks: dict[str, Check] = {"hangs": hangs, "fails": fails, "refused": refused, "fine": lambda: [ok("fine", "yes")]}
    found = list(examine(checks, Deadline(0.2)))
    never.set()
    assert time.monotonic() - begun < 30
    assert [(each.check, each.level.value) for each in found] == [
        ("hangs", "warning"),
        ("fails", "error"),
        ("refused", "error"),
        ("fine", "ok"),
    ]
    assert "ValueError" in found[1].fact
    assert "secret" not in found[1].fact


def test_lines_are_safe_and_json_has_all() -> None:
    """A member's name can't reach the terminal unescaped."""
    bad = warning("group", "a \x1b[2J member", "stop\x07 it")
    assert "\x1b" not in doctor_output.line(bad)
    assert doctor_output.line(bad).splitlines()[1].strip() == "-> stop\\x07 it"
    console = Console(width=40, record=True)
    doctor_output.print_finding(bad, console)
    assert "\\x1b[2J" in console.export_text()
    assert json.loads(doctor_output.document([bad])) == {"exit_code": LOOK, "checks": [bad.document()]}


def test_settings_show_what_is_not_the_default() -> None:
    """A variable that is nearly a setting has no effect, which is worth a word."""
    found = list(local_checks.settings_findings(load(topic_prefix="p."), {"SAGA_TOPC_PREFIX": "x", "HOME": "/"}))
    assert "SAGA_TOPIC_PREFIX=p." in found[0].fact
    assert [(each.level, each.remedy) for each in found[1:]] == [(Level.WARNING, "set SAGA_TOPIC_PREFIX")]


def test_a_state_folder_is_described(tmp_path: Path) -> None:
    """Its size, its age and the free space; one that can't be used is an error."""
    (missing,) = local_checks.state_findings(tmp_path / "none")
    assert (missing.level, "the next one creates it" in missing.fact) == (Level.OK, True)
    (tmp_path / "file").write_bytes(b"x" * 2048)
    assert local_checks.contents(tmp_path, time.time() + 7200).startswith("2.0 KiB, written 2 h ago")
    (found,) = local_checks.state_findings(tmp_path)
    assert "free" in found.fact
    (wrong,) = local_checks.state_findings(tmp_path / "file")
    assert wrong.level is Level.ERROR


@pytest.mark.parametrize(
    ("latest", "level", "words"),
    (
        (None, Level.UNKNOWN, "not measurable"),
        (100.5, Level.OK, "less than 0.6 s"),
        (103.0, Level.WARNING, "ahead of this computer's by 2.0 s"),
        (95.0, Level.WARNING, "behind this computer's by 5.0 s"),
    ),
)
def test_the_brokers_clock_is_compared(latest: float | None, level: Level, words: str) -> None:
    """With the local times before (100.0) and after (101.0) the brokers' stamp; only what is sure is reported."""
    found = clock_finding(latest, 100.0, 101.0)
    assert (found.level, words in found.fact) == (level, True)


def test_the_clock_can_not_be_read_without_permissions() -> None:
    """No question is asked then."""
    denied = error("permissions", "lacks some")
    found = list(clock_findings(KafkaCluster("127.0.0.1:1"), lambda: [denied], Deadline(1)))
    assert [each.level for each in found] == [Level.ERROR, Level.UNKNOWN]


def group(state: ConsumerGroupState, *members: tuple[str, list[tuple[str, int]]]) -> ConsumerGroupDescription:
    """A group with members: client ids, and what they are assigned."""
    described = [
        MemberDescription("m", client, "/10.0.0.1", MemberAssignment([TopicPartition(*each) for each in assigned]))
        for client, assigned in members
    ]
    return ConsumerGroupDescription("g", False, described, "range", state, None)


@pytest.mark.parametrize(
    ("described", "expected"),
    (
        (group(ConsumerGroupState.DEAD), [(Level.ERROR, "no member")]),
        (group(ConsumerGroupState.EMPTY), [(Level.ERROR, "no member")]),
        (group(ConsumerGroupState.STABLE, ("g.a", INPUTS)), [(Level.OK, "1 pod: g.a at 10.0.0.1 with 2 partitions")]),
        (
            group(ConsumerGroupState.STABLE, ("g.a", INPUTS[:1]), ("g.b", [])),
            [(Level.OK, "g.b at 10.0.0.1 with no partitions"), (Level.WARNING, "nobody reads order.requests[1]")],
        ),
        (group(ConsumerGroupState.PREPARING_REBALANCING, ("g.a", [])), [(Level.WARNING, "preparing rebalancing")]),
        (
            group(ConsumerGroupState.STABLE, ("g.a", INPUTS), ("x\x1b", [])),
            [(Level.OK, "1 pod"), (Level.WARNING, "x\\x1b at 10.0.0.1; pods call themselves g.INSTANCE")],
        ),
        (
            group(ConsumerGroupState.STABLE, ("g.a", INPUTS[:1]), ("x", INPUTS[1:])),
            [(Level.OK, "1 pod"), (Level.ERROR, "no pod decides what is in order.requests[1]")],
        ),
        (
            group(ConsumerGroupState.STABLE, ("x", INPUTS)),
            [(Level.ERROR, "0 pods: none"), (Level.ERROR, "order.requests[0], order.requests[1]")],
        ),
    ),
)
def test_members_are_pods_or_strangers(described: ConsumerGroupDescription, expected: list[tuple[Level, str]]) -> None:
    """A stranger that takes inputs away is an error; so is a group without a pod, but that passes."""
    found = list(group_findings(described, INPUTS))
    assert [(each.level, words in each.fact) for each, (_, words) in zip(found, expected, strict=True)] == [
        (level, True) for level, _ in expected
    ]


def test_lag_is_worth_a_look_when_it_is_old() -> None:
    """What retention deleted before it was decided is an error."""
    (fresh,) = flow_checks.lag_findings([LAG, replace(LAG, partition=1, end=9)], 3_000)
    assert (fresh.level, fresh.fact) == (Level.OK, "order.requests 6 (the oldest 2 s) + 1 held back")
    (old,) = flow_checks.lag_findings([LAG], 31_000)
    assert (old.level, old.fact) == (Level.WARNING, "order.requests 3 (the oldest 30 s)")
    _, lost = flow_checks.lag_findings([replace(LAG, first=7)], 3_000)
    assert (lost.level, "order.requests[0] (2)" in lost.fact) == (Level.ERROR, True)


@pytest.mark.parametrize(
    ("since_ms", "level", "words"),
    (
        (999_000, Level.OK, "a short one"),
        (990_000, Level.WARNING, "t[0] for 10 s, from /import\\x1b"),
        (0, Level.ERROR, "t[0] for 17 min"),
        (None, Level.WARNING, "t[0] for an unknown time"),
    ),
)
def test_a_transaction_that_stays_open_is_found(since_ms: int | None, level: Level, words: str) -> None:
    """A pod's own are short; one that is older than the brokers allow hangs."""
    (found,) = flow_checks.transaction_findings({("t", 0): (since_ms, "/import\x1b")}, "b:1", 1_000_000)
    assert (found.level, words in found.fact) == (level, True)
    assert ("find-hanging" in found.remedy) == (level is Level.ERROR)


def test_stuck_orders_are_counted_once() -> None:
    """However many of their steps are stuck; what could not be read is not passed over."""
    steps = [StuckStep("o-1", step, "undo", 1, 1_000, "x", None) for step in ("a", "b")]
    (found,) = flow_checks.stuck_findings(StuckSagas(), steps, [])
    assert (found.level, found.fact) == (Level.ERROR, "1 order, the oldest since 1970-01-01T00:00:01.000Z")
    (unread,) = flow_checks.stuck_findings(StuckSagas(), [], [3])
    assert (unread.level, "partition 3 " in unread.fact) == (Level.WARNING, True)
    unreadable = StuckSagas()
    unreadable.take(b"o-1", b'{"stuck"')
    (other,) = flow_checks.stuck_findings(unreadable, [], [])
    assert other.level is Level.WARNING


def test_long_lists_are_cut() -> None:
    """With how many more there are; ages and sizes have one unit."""
    assert some("abcdefg") == "a, b, c, d, e and 2 more"
    assert [local_checks.age(seconds) for seconds in (0.25, 59, 90, 7_200, 200_000)] == [
        "0.2 s",
        "59 s",
        "2 min",
        "2 h",
        "2 d",
    ]
    sizes = [local_checks.size(count) for count in (5, 2048, 5 << 30, 3 << 40)]
    assert sizes == ["5 B", "2.0 KiB", "5.0 GiB", "3.0 TiB"]
