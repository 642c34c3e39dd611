"""Commands in any order, any number of copies, a process that dies at any time: the ledger is right."""

import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.samples.participant.command_handler import CommandHandler
from app.samples.participant.fault_plan import NEVER, FaultPlan, Outage
from app.samples.participant.ledger import Ledger
from app.samples.services.base import Service
from app.samples.services.notice import NOTICE
from app.samples.services.payment import PAYMENT
from app.samples.services.reservation import RESERVATION
from app.samples.services.shipping import SHIPPING
from tests.samples.commands import Direction, command


class Died(Exception):
    """The process, in the middle of a batch."""


CommandOf = tuple[str, Direction, int]
"""Order, direction, attempt."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands read together, so many seconds after the start; the process may die before they are committed."""

    commands: list[CommandOf]
    seconds: float
    dies: bool


commands = st.tuples(st.sampled_from(("o-1", "o-2", "o-3")), st.sampled_from(("do", "undo")), st.integers(1, 3))
batches = st.lists(
    st.builds(
        Batch, st.lists(commands, min_size=1, max_size=6), st.sampled_from((0.0, 10.0)), st.sampled_from((False, True))
    ),
    max_size=12,
)
fault_plans = st.builds(
    FaultPlan,
    seed=st.integers(0, 1000),
    refuse=st.sampled_from((0.0, 0.4)),
    fail=st.sampled_from((0.0, 0.4)),
    fail_for_good=st.sampled_from((0.0, 0.2)),
    fail_undo_for_good=st.sampled_from((0.0, 0.2)),
    broken=st.sampled_from((NEVER, Outage(5, 15))),
)
PIECES = Counter({"A": 5, "B": 1})
MOVED_BY_ONE_DO = {
    "reservation": PIECES,
    "payment": Counter({"EUR": 520}),
    "shipping": PIECES,
    "notice": Counter({"notice": 1}),
}


def serve(file: Path, service: Service, faults: FaultPlan, batch: Batch, at_ms: int) -> dict[str, list[bytes]]:
    """The replies, by command id, of a process that is started, processes one batch, and ends or dies."""
    replies: dict[str, list[bytes]] = {}
    ledger = Ledger(file)
    with suppress(Died), ledger.transaction():
        handler = CommandHandler(service, faults, ledger)
        for order_id, direction, attempt in batch.commands:
            record = command(order_id, service.name, direction, attempt)
            reply = handler.answer(record.key, record.value, record.headers, at_ms, batch.seconds)
            replies.setdefault(record.id, []).append(repr((reply.value, reply.headers)).encode())
        if batch.dies:
            raise Died
    ledger.close()
    return {} if batch.dies else replies


@pytest.mark.parametrize("service", (RESERVATION, PAYMENT, SHIPPING, NOTICE), ids=lambda service: service.name)
@given(batches=batches, faults=fault_plans)
def test_the_ledger_balances_and_copies_get_equal_replies(
    service: Service, batches: list[Batch], faults: FaultPlan
) -> None:
    """The ledger keeps what was done and not undone, by a plain count over the commands."""
    batches, faults = possible(service, batches), possible_for(service, faults)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ledger.sqlite"
        replies: dict[str, set[bytes]] = {}
        for number, batch in enumerate(batches):
            for id, sent in serve(file, service, faults, batch, at_ms=number).items():
                replies.setdefault(id, set()).update(sent)
        assert [id for id, copies in replies.items() if len(copies) != 1] == []
        ledger = Ledger(file)
        assert ledger.kept() == expected(service, faults, [batch for batch in batches if not batch.dies])
        ledger.close()


def possible(service: Service, batches: list[Batch]) -> list[Batch]:
    """The batches without undos, for a service that has none."""
    if service.undo is not None:
        return batches
    return [replace(batch, commands=[each for each in batch.commands if each[1] == "do"]) for batch in batches]


def possible_for(service: Service, faults: FaultPlan) -> FaultPlan:
    """The plan without refusals or failing undos, for a service that has none."""
    return replace(
        faults,
        refuse=faults.refuse if service.refused else 0,
        fail_undo_for_good=faults.fail_undo_for_good if service.undo else 0,
    )


def expected(service: Service, faults: FaultPlan, batches: list[Batch]) -> Counter[str]:
    """The units kept: of each order whose do worked before any undo, was not refused, and was not undone."""
    first: dict[str, Direction] = {}
    answered, failed, undone = set(), set(), set()
    for seconds, id in ((batch.seconds, each) for batch in batches for each in batch.commands):
        order_id, direction, attempt = id
        effect = (order_id, direction)
        fault = faults.fault_for(f"{order_id}:{service.name}:{direction}:{attempt}", direction)
        if seconds in faults.broken and effect not in answered:
            failed.add(id)
        if id not in failed and (fault.failure is None or fault.works_first):
            answered.add(effect)
            first.setdefault(order_id, direction)
            undone |= {order_id} if direction == "undo" else set()
        if fault.failure is not None:
            failed.add(id)
    kept: Counter[str] = Counter()
    for order_id, direction in first.items():
        if direction == "do" and order_id not in undone and not faults.refuses(order_id):
            kept += MOVED_BY_ONE_DO[service.name]
    return kept


def test_a_second_answer_to_a_do_is_impossible(ledger: Ledger) -> None:
    """A constraint of the database refuses it, even if the handler forgets to look first."""
    record = command("o-1")
    with ledger.transaction():
        CommandHandler(RESERVATION, FaultPlan(), ledger).answer(record.key, record.value, record.headers, at_ms=1)
    answer = ledger.get("o-1:reservation:do")
    assert answer is not None
    with pytest.raises(Exception, match="UNIQUE"), ledger.transaction():
        ledger.put("o-1:reservation:do", answer)
    assert ledger.kept() == MOVED_BY_ONE_DO["reservation"]


def test_sums_go_beyond_64_bits(tmp_path: Path) -> None:
    """Many orders of the greatest possible total add up exactly."""
    ledger = Ledger(tmp_path / "ledger.sqlite")
    most = 2**53 - 1
    with ledger.transaction():
        for number in range(1_100):
            total = {"total": {"currency": "EUR", "minor": most}}
            record = command(f"o-{number}", "payment", data=total)
            CommandHandler(PAYMENT, FaultPlan(), ledger).answer(record.key, record.value, record.headers, at_ms=1)
    assert ledger.kept() == {"EUR": 1_100 * most}
    ledger.close()
