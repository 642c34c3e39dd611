"""The list of stuck sagas, read from a real Kafka."""

import json

import pytest

from tests.devkafka.support import LIMIT
from tests.operators.desk import Desk, Record
from tests.operators.documents import ASKED, ended, going_back, going_on, stuck

pytestmark = pytest.mark.broker
FIRST = "o-1\treservation\tundo\t12\t1970-01-01T00:00:01.000Z\ttimed out\tno funds\n"
SECOND = "o-2\tshipping\tdo\t5\t1970-01-01T00:00:02.000Z\tno carrier\t\n"


def state(order: str, document: bytes | None) -> Record:
    """What the orchestrator writes into `saga.state`."""
    return "saga.state", order.encode(), document, []


def two_stuck(desk: Desk) -> None:
    """Two orders that wait for a person, among others that don't, in all partitions."""
    desk.write(2, state("o-2", going_on(stuck("shipping", 5, 2_000, "no carrier"))), state("o-3", ended()))
    desk.write(0, state("o-4", going_back(stuck())), state("o-5", going_back(stuck())), state("o-1", going_back(ASKED)))
    desk.write(0, state("o-1", going_back(stuck())), state("o-4", None), state("o-5", ended()))


def test_what_is_stuck_is_listed(desk: Desk) -> None:
    """One line each, the oldest first, each saga by its last document; how much was read is said beside it."""
    two_stuck(desk)
    assert desk.saga("stuck") == (0, FIRST + SECOND, "states of sagas read: 7\n")


def test_programs_get_json(desk: Desk) -> None:
    """One object a line."""
    two_stuck(desk)
    code, lines, _ = desk.saga("stuck", "--json")
    assert [json.loads(line)["order_id"] for line in lines.splitlines()] == ["o-1", "o-2"]
    assert code == 0


def test_an_alert_can_be_made_of_it(desk: Desk) -> None:
    """With --fail the exit code tells, and only then."""
    assert desk.saga("stuck", "--fail") == (0, "", "no saga is stuck\nstates of sagas read: 0\n")
    two_stuck(desk)
    assert desk.saga("stuck", "--fail") == (1, FIRST + SECOND, "states of sagas read: 7\n")
    desk.write(2, state("o-2", None))
    desk.write(0, state("o-1", going_back(ASKED)))
    assert desk.saga("stuck", "--fail") == (0, "", "no saga is stuck\nstates of sagas read: 8\n")


def test_what_was_taken_back_is_not_listed(desk: Desk) -> None:
    """A document whose transaction was aborted never was; the end is reached all the same."""
    pod = desk.pod()
    desk.begin(pod, 1, state("o-1", going_back(stuck())))
    pod.abort_transaction(LIMIT)
    assert desk.saga("stuck") == (0, "", "no saga is stuck\nstates of sagas read: 0\n")


def test_an_open_transaction_is_told(desk: Desk) -> None:
    """The rest is listed, with what may be missing; once it is committed that is listed too."""
    two_stuck(desk)
    pod = desk.pod()
    desk.begin(pod, 2, state("o-2", ended()))
    assert desk.saga("stuck", "--wait", "1") == (
        1,
        FIRST + SECOND,
        "error: not read to the end, as a transaction is open: partition 2 of saga.state; try again\n"
        "states of sagas read: 7\n",
    )
    pod.commit_transaction(LIMIT)
    assert desk.saga("stuck") == (0, FIRST, "states of sagas read: 8\n")


def test_a_document_of_another_version_is_told(desk: Desk) -> None:
    """Nothing that may be stuck is passed over in silence; the document itself is not shown."""
    desk.write(0, state("o-1", b'{"state":"stuck","customer":"ann"}'))
    code, lines, complaint = desk.saga("stuck")
    assert (code, lines) == (1, "")
    assert "written by another version, so not listed: 1" in complaint
    assert "ann" not in complaint
