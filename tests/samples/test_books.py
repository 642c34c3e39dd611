"""Whatever comes in whatever order, however often, and whenever the process dies: the books are right."""

import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.samples.behaviour import Behaviour
from app.samples.desk import Desk
from app.samples.ledger import Ledger
from app.samples.notice import NOTICE
from app.samples.outage import NEVER, Outage
from app.samples.payment import PAYMENT
from app.samples.reservation import RESERVATION
from app.samples.service import Service
from app.samples.shipping import SHIPPING
from tests.samples.commands import Direction, command


class Died(Exception):
    """The process, in the middle of a batch."""


Step = tuple[str, Direction, int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Commands that come together, so many seconds after the start; the process may die before they are kept."""

    steps: list[Step]
    seconds: float
    dies: bool


steps = st.tuples(st.sampled_from(("o-1", "o-2", "o-3")), st.sampled_from(("do", "undo")), st.integers(1, 3))
batches = st.lists(
    st.builds(
        Batch, st.lists(steps, min_size=1, max_size=6), st.sampled_from((0.0, 10.0)), st.sampled_from((False, True))
    ),
    max_size=12,
)
behaviours = st.builds(
    Behaviour,
    seed=st.integers(0, 1000),
    refuse=st.sampled_from((0.0, 0.4)),
    fail=st.sampled_from((0.0, 0.4)),
    fail_for_good=st.sampled_from((0.0, 0.2)),
    fail_undo_for_good=st.sampled_from((0.0, 0.2)),
    broken=st.sampled_from((NEVER, Outage(5, 15))),
)
PIECES = Counter({"A": 5, "B": 1})
ONE = {
    "reservation": PIECES,
    "payment": Counter({"EUR": 520}),
    "shipping": PIECES,
    "notice": Counter({"notice": 1}),
}


def serve(file: Path, service: Service, behaviour: Behaviour, batch: Batch, at_ms: int) -> dict[str, list[bytes]]:
    """One life of the process, with one batch: what it would have sent for each command."""
    replies: dict[str, list[bytes]] = {}
    ledger = Ledger(file)
    with suppress(Died), ledger.transaction():
        desk = Desk(service, behaviour, ledger)
        for order_id, direction, attempt in batch.steps:
            record = command(order_id, service.name, direction, attempt)
            reply = desk.answer(record.key, record.value, record.headers, at_ms, batch.seconds)
            replies.setdefault(record.id, []).append(repr((reply.value, reply.headers)).encode())
        if batch.dies:
            raise Died
    ledger.close()
    return {} if batch.dies else replies


@pytest.mark.parametrize("service", (RESERVATION, PAYMENT, SHIPPING, NOTICE), ids=lambda service: service.name)
@given(batches=batches, behaviour=behaviours)
def test_books_balance_and_replies_agree(service: Service, batches: list[Batch], behaviour: Behaviour) -> None:
    """Each copy of a command gets the same reply, and kept is what was done and not undone, by a plain count."""
    batches, behaviour = possible(service, batches), possible_for(service, behaviour)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "books.sqlite"
        replies: dict[str, set[bytes]] = {}
        for number, batch in enumerate(batches):
            for id, sent in serve(file, service, behaviour, batch, at_ms=number).items():
                replies.setdefault(id, set()).update(sent)
        assert [id for id, copies in replies.items() if len(copies) != 1] == []
        ledger = Ledger(file)
        assert ledger.kept() == expected(service, behaviour, [batch for batch in batches if not batch.dies])
        ledger.close()


def possible(service: Service, batches: list[Batch]) -> list[Batch]:
    """Without undos for a service that knows none."""
    if service.undo is not None:
        return batches
    return [replace(batch, steps=[step for step in batch.steps if step[1] == "do"]) for batch in batches]


def possible_for(service: Service, behaviour: Behaviour) -> Behaviour:
    """Without the kinds of answers that a service doesn't have."""
    return replace(
        behaviour,
        refuse=behaviour.refuse if service.refused else 0,
        fail_undo_for_good=behaviour.fail_undo_for_good if service.undo else 0,
    )


def expected(service: Service, behaviour: Behaviour, batches: list[Batch]) -> Counter[str]:
    """What is held after these commands: of each order whose do came through first, was not refused, and not undone."""
    first: dict[str, Direction] = {}
    effects, failed, undone = set(), set(), set()
    for seconds, (order_id, direction, attempt) in ((batch.seconds, step) for batch in batches for step in batch.steps):
        effect, id = (order_id, direction), (order_id, direction, attempt)
        whim = behaviour.whim(f"{order_id}:{service.name}:{direction}:{attempt}", direction)
        if seconds in behaviour.broken and effect not in effects:
            failed.add(id)
        if id not in failed and (whim.failure is None or whim.works_first):
            effects.add(effect)
            first.setdefault(order_id, direction)
            undone |= {order_id} if direction == "undo" else set()
        if whim.failure is not None:
            failed.add(id)
    kept: Counter[str] = Counter()
    for order_id, direction in first.items():
        if direction == "do" and order_id not in undone and not behaviour.refuses(order_id):
            kept += ONE[service.name]
    return kept


def test_a_second_answer_to_an_effect_is_impossible(ledger: Ledger) -> None:
    """The books themselves refuse what the rules forbid, whoever forgets to ask them first."""
    record = command("o-1")
    with ledger.transaction():
        Desk(RESERVATION, Behaviour(), ledger).answer(record.key, record.value, record.headers, at_ms=1)
    answer = ledger.get("o-1:reservation:do")
    assert answer is not None
    with pytest.raises(Exception, match="UNIQUE"), ledger.transaction():
        ledger.put("o-1:reservation:do", answer)
    assert ledger.kept() == ONE["reservation"]


def test_sums_go_beyond_64_bits(tmp_path: Path) -> None:
    """Many orders of the greatest possible total still add up."""
    ledger = Ledger(tmp_path / "books.sqlite")
    most = 2**53 - 1
    with ledger.transaction():
        for number in range(1_100):
            total = {"total": {"currency": "EUR", "minor": most}}
            record = command(f"o-{number}", "payment", data=total)
            Desk(PAYMENT, Behaviour(), ledger).answer(record.key, record.value, record.headers, at_ms=1)
    assert ledger.kept() == {"EUR": 1_100 * most}
    ledger.close()
