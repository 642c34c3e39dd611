"""Operations given on a real Kafka, answered as the contract has it, or not at all."""

import os
import signal
import subprocess
import sys
import time
from uuid import UUID

import pytest
from typer.testing import CliRunner

from app.operators.cli import app
from app.wire.partition import partition_of
from tests.devkafka.support import LIMIT
from tests.operators.desk import PARTITIONS, Desk, Given, Record, dead_letter, decision

OPERATED = {"type": "saga.operated", "operator": "olga", "reason": "it is up again", "steps": ["payment"]}
RETRIED = (
    {**OPERATED, "operation": "saga.retry"},
    {"type": "saga.compensation.requested", "step": "payment", "attempt": 13, "at_ms": 1, "due_ms": 2},
)
REFUSED = {
    "type": "saga.operation.refused",
    "operation": "saga.retry",
    "operator": "olga",
    "reason": "it is up again",
    "refusal": "needs a saga that is stuck",
}
WHY = ("--reason", "it is up again")


@pytest.mark.broker
@pytest.mark.parametrize(("word", "order"), (("retry", "o-1"), ("skip", "o-3"), ("compensate", "o-5")))
def test_an_operation_is_written_by_the_contract(desk: Desk, word: str, order: str) -> None:
    """In the order's own partition, each a message of its own; who gave it is the login, if nobody else is named."""
    written = (0, f"{order}: the operation is written\n", "")
    assert desk.saga(word, order, *WHY, "--wait", "0") == written
    assert desk.saga(word, order, "--reason", "because", "--operator", "otto", "--wait", "0") == written
    with desk.operations() as one_more:
        first, second = one_more(), one_more()
    for each in (first, second):
        assert each.key == order.encode()
        assert each.partition == partition_of(order.encode(), PARTITIONS)
        assert each.headers["ce_type"] == f"saga.{word}"
        assert each.headers["ce_correlationid"] == order
        assert UUID(each.headers["ce_id"]).version == 4
    assert first.value == {"order_id": order, "operator": "olga", "reason": "it is up again"}
    assert second.value == {"order_id": order, "operator": "otto", "reason": "because"}
    assert first.headers["ce_id"] != second.headers["ce_id"]


@pytest.mark.broker
@pytest.mark.parametrize("word", ("retry", "skip"))
def test_one_step_is_named(desk: Desk, word: str) -> None:
    """It stands beside who and why."""
    assert desk.saga(word, "o-1", *WHY, "--step", "payment", "--wait", "0")[0] == 0
    with desk.operations() as one_more:
        given = one_more()
    assert given.value == {"order_id": "o-1", "operator": "olga", "reason": "it is up again", "step": "payment"}


@pytest.mark.broker
def test_what_came_of_it_is_told(desk: Desk) -> None:
    """As soon as its decision is there, whatever else there is in the partition."""

    def answer(operation: Given) -> None:
        noise: list[Record] = [
            decision(operation, REFUSED, id="another message"),
            decision(operation, REFUSED, order="another-order"),
            ("saga.events", operation.key, b"no decision", []),
            ("saga.dead-letters", operation.key, None, [("ce_id", b"another message")]),
        ]
        desk.write(operation.partition, *noise, decision(operation, *RETRIED))

    desk.write(partition_of(b"o-1", PARTITIONS), ("saga.events", b"o-1", b"from before", []))
    with desk.answering(answer):
        told = desk.saga("retry", "o-1", *WHY)
    assert told == (0, "o-1: payment's undo is asked again (attempt 13)\n", "")


@pytest.mark.broker
def test_a_refusal_is_told(desk: Desk) -> None:
    """The exit code says that nothing was done."""
    with desk.answering(lambda operation: desk.write(operation.partition, decision(operation, REFUSED))):
        told = desk.saga("retry", "o-1", *WHY)
    assert told == (1, "o-1 was refused: needs a saga that is stuck\n", "")


@pytest.mark.broker
def test_an_unknown_order_is_told(desk: Desk) -> None:
    """Its operation is found among the dead letters."""

    def answer(operation: Given) -> None:
        desk.write(operation.partition, dead_letter(operation, "unknown_order", "no order of this id was placed"))

    with desk.answering(answer):
        code, told, complaint = desk.saga("skip", "o-1", *WHY)
    assert (code, complaint) == (1, "")
    assert told.startswith("o-1 is not known: no order of this id was placed")
    assert "dead letters" in told


@pytest.mark.broker
def test_only_what_is_committed_is_told(desk: Desk) -> None:
    """An answer that was taken back is none."""

    def answer(operation: Given) -> None:
        pod = desk.pod()
        desk.begin(pod, operation.partition, decision(operation, REFUSED))
        pod.abort_transaction(LIMIT)
        desk.begin(pod, operation.partition, decision(operation, *RETRIED))
        pod.commit_transaction(LIMIT)

    with desk.answering(answer):
        assert desk.saga("retry", "o-1", *WHY)[0] == 0


@pytest.mark.broker
def test_silence_is_told(desk: Desk) -> None:
    """That it was written, and who may be missing."""
    code, told, complaint = desk.saga("retry", "o-1", *WHY, "--wait", "1")
    assert (code, told, desk.count()) == (1, "", 1)
    assert complaint == (
        "error: o-1: the operation is written, but nothing came of it within 1 s: the orchestrator may be down or "
        "behind; see what became of the order before giving it again\n"
    )


# What is started in the background, these tests perhaps, is deaf to Ctrl-C, and so is all that it starts.
AT_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from app.operators.cli import app
app()
"""


@pytest.mark.broker
def test_an_interrupted_wait_says_what_may_be_written(desk: Desk) -> None:
    """Ctrl-C ends the waiting, not the operation."""
    command = [sys.executable, "-c", AT_A_TERMINAL, "skip", "o-1", *WHY, *desk.where]
    with desk.operations() as one_more, subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        one_more()
        os.kill(process.pid, signal.SIGINT)
        _, complaint = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert complaint.startswith("error: o-1: interrupted, but the operation may be written already: ")


@pytest.mark.parametrize(
    ("order", "reason", "operator"),
    (
        ("my order", "x", "olga"),
        ("o-1", "", "olga"),
        ("o-1", "a\nb", "olga"),
        ("o-1", "x", " "),
        ("o-1", "x", "o" * 1025),
    ),
)
def test_what_could_not_be_read_is_not_written(order: str, reason: str, operator: str) -> None:
    """It is refused before Kafka is asked for anything; nothing that was given is repeated."""
    words = ["retry", order, "--reason", reason, "--operator", operator, "--bootstrap", "127.0.0.1:1"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(("error: order_id must ", "error: reason must ", "error: operator must "))
    assert "my order" not in result.stderr


@pytest.mark.parametrize("word", ("retry", "skip"))
def test_what_can_be_no_step_is_not_written(word: str) -> None:
    """It is refused like the rest of what was given, and is not repeated."""
    words = [word, "o-1", *WHY, "--operator", "olga", "--step", "pay ment", "--bootstrap", "127.0.0.1:1"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: step must match [A-Za-z0-9._-]{1,64}\n"


def test_a_whole_order_is_compensated() -> None:
    """Of it there is no single step to choose."""
    result = CliRunner().invoke(app, ["compensate", "o-1", *WHY, "--step", "payment"])
    assert (result.exit_code, "--step" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", (("retry", "o-1", *WHY), ("stuck",)))
def test_a_kafka_that_is_not_there_is_told(words: tuple[str, ...]) -> None:
    """In one sentence, within the time that was given."""
    begun = time.monotonic()
    result = CliRunner().invoke(app, [*words, "--wait", "1", "--bootstrap", "127.0.0.1:1"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "error: no Kafka answers at 127.0.0.1:1: start one there, or set another with --bootstrap\n"
    )
    assert time.monotonic() - begun < 10


@pytest.mark.broker
@pytest.mark.parametrize(
    ("words", "topic"),
    (
        (("retry", "o-1", *WHY), "saga.operations, {}saga.events, {}saga.dead-letters"),
        (("skip", "o-1", *WHY, "--wait", "0"), "saga.operations"),
        (("stuck",), "saga.state"),
    ),
)
def test_missing_topics_are_named(kafka_bootstrap: str, topic_prefix: str, words: tuple[str, ...], topic: str) -> None:
    """With what to do about it; the settings come from the environment when there are no options."""
    where = {"SAGA_KAFKA_BOOTSTRAP": kafka_bootstrap, "SAGA_TOPIC_PREFIX": topic_prefix}
    result = CliRunner(env=where).invoke(app, list(words))
    names = topic_prefix + topic.replace("{}", topic_prefix)
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: Kafka at {kafka_bootstrap} has no topic {names}: create it first, or set another --prefix\n",
    )


@pytest.mark.parametrize("words", (("retry", "o-1", *WHY), ("stuck",)))
def test_a_wrong_setting_is_told(words: tuple[str, ...]) -> None:
    """By its name, before anything is sent."""
    result = CliRunner().invoke(app, [*words, "--prefix", "not allowed!"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: SAGA_TOPIC_PREFIX is wrong: ")
