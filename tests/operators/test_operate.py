"""Operations sent on a real Kafka, with an answer by the wire contract, or without one."""

import os
import signal
import subprocess
import sys
import time
from uuid import UUID

import pytest
from typer.testing import CliRunner

from app.operators.cli import app
from app.operators.operate import interruptible
from app.ops.errors import CommandFailed
from app.wire.partition import partition_of
from tests.devkafka.support import LIMIT
from tests.operators.fake_orchestrator import (
    PARTITIONS,
    FakeOrchestrator,
    ReadOperation,
    Record,
    dead_letter,
    decision,
)

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
def test_an_operation_is_written_by_the_contract(orchestrator: FakeOrchestrator, word: str, order: str) -> None:
    """In the order's partition, each with a message id of its own; the default operator is the login name."""
    written = (0, f"{order}: the operation is written\n", "")
    assert orchestrator.saga(word, order, *WHY, "--wait", "0") == written
    assert orchestrator.saga(word, order, "--reason", "because", "--operator", "otto", "--wait", "0") == written
    with orchestrator.operations() as next_operation:
        first, second = next_operation(), next_operation()
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
def test_one_step_is_named(orchestrator: FakeOrchestrator, word: str) -> None:
    """In the operation's data, beside operator and reason."""
    assert orchestrator.saga(word, "o-1", *WHY, "--step", "payment", "--wait", "0")[0] == 0
    with orchestrator.operations() as next_operation:
        operation = next_operation()
    assert operation.value == {"order_id": "o-1", "operator": "olga", "reason": "it is up again", "step": "payment"}


@pytest.mark.broker
def test_the_decision_is_the_answer(orchestrator: FakeOrchestrator) -> None:
    """As soon as it is committed, whatever other records are in the partition."""

    def answer(operation: ReadOperation) -> None:
        noise: list[Record] = [
            decision(operation, REFUSED, id="another message"),
            decision(operation, REFUSED, order="another-order"),
            ("saga.events", operation.key, b"no decision", []),
            ("saga.dead-letters", operation.key, None, [("ce_id", b"another message")]),
        ]
        orchestrator.write(operation.partition, *noise, decision(operation, *RETRIED))

    orchestrator.write(partition_of(b"o-1", PARTITIONS), ("saga.events", b"o-1", b"from before", []))
    with orchestrator.answering(answer):
        answered = orchestrator.saga("retry", "o-1", *WHY)
    assert answered == (0, "o-1: payment's undo is requested again (attempt 13)\n", "")


@pytest.mark.broker
def test_a_refusal_is_the_answer(orchestrator: FakeOrchestrator) -> None:
    """With exit code 1, as nothing was done."""
    with orchestrator.answering(
        lambda operation: orchestrator.write(operation.partition, decision(operation, REFUSED))
    ):
        answered = orchestrator.saga("retry", "o-1", *WHY)
    assert answered == (1, "o-1 was refused: needs a saga that is stuck\n", "")


@pytest.mark.broker
def test_a_dead_letter_is_the_answer(orchestrator: FakeOrchestrator) -> None:
    """As for an order that is not known."""

    def answer(operation: ReadOperation) -> None:
        orchestrator.write(
            operation.partition, dead_letter(operation, "unknown_order", "no order of this id was placed")
        )

    with orchestrator.answering(answer):
        code, printed, errors = orchestrator.saga("skip", "o-1", *WHY)
    assert (code, errors) == (1, "")
    assert printed.startswith("o-1 is not known: no order of this id was placed")
    assert "dead letters" in printed


@pytest.mark.broker
def test_only_a_committed_decision_is_an_answer(orchestrator: FakeOrchestrator) -> None:
    """One whose transaction was aborted is none."""

    def answer(operation: ReadOperation) -> None:
        pod = orchestrator.pod()
        orchestrator.begin(pod, operation.partition, decision(operation, REFUSED))
        pod.abort_transaction(LIMIT)
        orchestrator.begin(pod, operation.partition, decision(operation, *RETRIED))
        pod.commit_transaction(LIMIT)

    with orchestrator.answering(answer):
        assert orchestrator.saga("retry", "o-1", *WHY)[0] == 0


@pytest.mark.broker
def test_no_decision_in_time_is_an_error(orchestrator: FakeOrchestrator) -> None:
    """It says that the operation is written, and what may be wrong."""
    code, printed, errors = orchestrator.saga("retry", "o-1", *WHY, "--wait", "1")
    assert (code, printed, orchestrator.count()) == (1, "", 1)
    assert errors == (
        "error: o-1: the operation is written, but no decision came within 1 s (orchestrator down, or behind?): "
        "check the order before you repeat the operation\n"
    )


# A process started in the background, as these tests may be, ignores SIGINT, and so do its children.
AT_A_TERMINAL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from app.operators.cli import app
app()
"""


@pytest.mark.broker
def test_an_interrupted_wait_says_that_the_operation_may_be_written(orchestrator: FakeOrchestrator) -> None:
    """Ctrl-C ends the wait, not the operation."""
    command = [sys.executable, "-c", AT_A_TERMINAL, "skip", "o-1", *WHY, *orchestrator.options]
    with (
        orchestrator.operations() as next_operation,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        next_operation()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert errors.startswith("error: o-1: interrupted, but the operation may be written already: ")


def test_an_interrupt_inside_a_call_of_the_client_is_one_too() -> None:
    """The interpreter reports it at some later call; any other SystemError stays what it is."""
    with pytest.raises(CommandFailed, match=r"^o-1: interrupted, but"), interruptible("o-1"):
        raise SystemError("a function returned a result with an exception set") from KeyboardInterrupt()
    with pytest.raises(SystemError), interruptible("o-1"):
        raise SystemError("another")


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
def test_an_invalid_operation_is_not_written(order: str, reason: str, operator: str) -> None:
    """It is refused before any connection to Kafka; the sentence doesn't repeat the value."""
    words = ["retry", order, "--reason", reason, "--operator", operator, "--bootstrap", "127.0.0.1:1"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(("error: order_id must ", "error: reason must ", "error: operator must "))
    assert "my order" not in result.stderr


@pytest.mark.parametrize("word", ("retry", "skip"))
def test_an_invalid_step_is_not_written(word: str) -> None:
    """It is refused before any connection to Kafka; the sentence doesn't repeat the value."""
    words = [word, "o-1", *WHY, "--operator", "olga", "--step", "pay ment", "--bootstrap", "127.0.0.1:1"]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: step must match [A-Za-z0-9._-]{1,64}\n"


def test_a_whole_order_is_compensated() -> None:
    """It has no option --step."""
    result = CliRunner().invoke(app, ["compensate", "o-1", *WHY, "--step", "payment"])
    assert (result.exit_code, "--step" in result.stderr) == (2, True)


@pytest.mark.parametrize("words", (("retry", "o-1", *WHY), ("stuck",)))
def test_a_missing_kafka_is_named(words: tuple[str, ...]) -> None:
    """In one sentence, soon after the time given by --wait."""
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
    """In a sentence that says what to do; without options the settings come from the environment."""
    environment = {"SAGA_KAFKA_BOOTSTRAP": kafka_bootstrap, "SAGA_TOPIC_PREFIX": topic_prefix}
    result = CliRunner(env=environment).invoke(app, list(words))
    names = topic_prefix + topic.replace("{}", topic_prefix)
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: Kafka at {kafka_bootstrap} has no topic {names}: create it first, or set another --prefix\n",
    )


@pytest.mark.parametrize("words", (("retry", "o-1", *WHY), ("stuck",)))
def test_a_wrong_setting_is_named(words: tuple[str, ...]) -> None:
    """Before any connection to Kafka."""
    result = CliRunner().invoke(app, [*words, "--prefix", "not allowed!"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: SAGA_TOPIC_PREFIX is wrong: ")
