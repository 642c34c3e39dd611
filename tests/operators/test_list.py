"""The list of stuck sagas, read from a real Kafka."""

import json

import pytest

from tests.devkafka.support import LIMIT
from tests.operators.documents import IN_FLIGHT, compensating, ended, running, stuck
from tests.operators.fake_orchestrator import FakeOrchestrator, Record

pytestmark = pytest.mark.broker
FIRST = "o-1\treservation\tundo\t12\t1970-01-01T00:00:01.000Z\ttimed out\tno funds\n"
SECOND = "o-2\tshipping\tdo\t5\t1970-01-01T00:00:02.000Z\tno carrier\t\n"


def state(order: str, document: bytes | None) -> Record:
    """A record of `saga.state`."""
    return "saga.state", order.encode(), document, []


def two_stuck(orchestrator: FakeOrchestrator) -> None:
    """Two stuck orders among others, in two partitions."""
    orchestrator.write(2, state("o-2", running(stuck("shipping", 5, 2_000, "no carrier"))), state("o-3", ended()))
    orchestrator.write(
        0,
        state("o-4", compensating(stuck())),
        state("o-5", compensating(stuck())),
        state("o-1", compensating(IN_FLIGHT)),
    )
    orchestrator.write(0, state("o-1", compensating(stuck())), state("o-4", None), state("o-5", ended()))


def test_stuck_steps_are_listed(orchestrator: FakeOrchestrator) -> None:
    """One line each, the oldest first, by each saga's last document; standard error has the number of states read."""
    two_stuck(orchestrator)
    assert orchestrator.saga("stuck") == (0, FIRST + SECOND, "saga states read: 7\n")


def test_programs_get_json(orchestrator: FakeOrchestrator) -> None:
    """One object per line."""
    two_stuck(orchestrator)
    code, lines, _ = orchestrator.saga("stuck", "--json")
    assert [json.loads(line)["order_id"] for line in lines.splitlines()] == ["o-1", "o-2"]
    assert code == 0


def test_the_exit_code_can_raise_an_alert(orchestrator: FakeOrchestrator) -> None:
    """With --fail it is 1 while an order is stuck."""
    assert orchestrator.saga("stuck", "--fail") == (0, "", "no saga is stuck\nsaga states read: 0\n")
    two_stuck(orchestrator)
    assert orchestrator.saga("stuck", "--fail") == (1, FIRST + SECOND, "saga states read: 7\n")
    orchestrator.write(2, state("o-2", None))
    orchestrator.write(0, state("o-1", compensating(IN_FLIGHT)))
    assert orchestrator.saga("stuck", "--fail") == (0, "", "no saga is stuck\nsaga states read: 8\n")


def test_an_aborted_document_is_not_listed(orchestrator: FakeOrchestrator) -> None:
    """The topic is read to its end all the same."""
    pod = orchestrator.pod()
    orchestrator.begin(pod, 1, state("o-1", compensating(stuck())))
    pod.abort_transaction(LIMIT)
    assert orchestrator.saga("stuck") == (0, "", "no saga is stuck\nsaga states read: 0\n")


def test_an_open_transaction_is_reported(orchestrator: FakeOrchestrator) -> None:
    """The committed documents are listed, with the partition that was not read to its end; later all are."""
    two_stuck(orchestrator)
    pod = orchestrator.pod()
    orchestrator.begin(pod, 2, state("o-2", ended()))
    assert orchestrator.saga("stuck", "--wait", "1") == (
        1,
        FIRST + SECOND,
        "error: partition 2 of saga.state was not read to its end (open transaction?): try again\n"
        "saga states read: 7\n",
    )
    pod.commit_transaction(LIMIT)
    assert orchestrator.saga("stuck") == (0, FIRST, "saga states read: 8\n")


def test_a_document_of_another_version_is_reported(orchestrator: FakeOrchestrator) -> None:
    """It may be a stuck saga, so it is counted; its content is not shown."""
    orchestrator.write(0, state("o-1", b'{"state":"stuck","customer":"ann"}'))
    code, lines, errors = orchestrator.saga("stuck")
    assert (code, lines) == (1, "")
    assert "error: states written by another version, possibly stuck and not listed: 1\n" in errors
    assert "ann" not in errors
