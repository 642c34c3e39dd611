"""Money, stock and parcels: what participants hold in the end is what the sagas say."""

from collections.abc import Iterator, Sequence

from app.saga.state import Completed, RolledBack, stuck
from app.wire.partition import partition_of
from app.wire.statedoc import state_name
from tests.simulation.judge.history import History, Tale
from tests.simulation.judge.messages import order_of
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Kafka
from tests.simulation.participants import Participant
from tests.simulation.plan import Plan


def ends(plan: Plan, history: History, listed: Sequence[bytes]) -> Iterator[Violation]:
    """Each saga is final, or forgotten, or stuck and listed."""
    seen = set(listed)
    for key, tale in history.tales.items():
        state = tale.progress.state
        if not (isinstance(state, Completed | RolledBack) or tale.lives == tale.ends):
            if state_name(state) != "stuck" or key not in seen:
                yield Violation("ends", key.decode(), f"it is {state_name(state)}, and nobody is told: {state}"[:300])
            elif plan.healed:
                yield Violation("ends", key.decode(), f"all is well again, but it is stuck: {stuck(state)}")
        elif key in seen:
            yield Violation("ends", key.decode(), "it is listed as stuck, but has ended")
        elif plan.short and tale.progress.seq:
            yield Violation("forgotten", key.decode(), "it ended long ago, and is not forgotten")


def conserved(
    kafka: Kafka, plan: Plan, history: History, last: dict[bytes, str], participants: Sequence[Participant]
) -> Iterator[Violation]:
    """Completed: each step was done, for this very order, and stands. Rolled back: nothing stands that can be undone.

    What a person said to have done by hand is that person's business. An order that came again after it was forgotten
    began a saga of its own, with idempotency keys that participants knew already: of that nothing can be said.
    """
    for key, end in last.items():
        tale = history.tales[key]
        for participant in participants:
            if participant.step.name not in tale.by_hand and tale.lives == 1:
                yield from _one(kafka, plan, key.decode(), tale, end, participant)


def _one(kafka: Kafka, plan: Plan, id: str, tale: Tale, end: str, participant: Participant) -> Iterator[Violation]:
    book, step = participant.books.get(id), participant.step
    stands = book is not None and book.stands
    if stands != (end == "saga.completed"):
        yield Violation("conservation", id, f"{end}, but {step.name} {'stands' if stands else 'does not stand'}")
    if book is not None:
        number = partition_of(id.encode(), plan.partitions)
        orders = [order_of(kafka, (topic, number), offset) for topic, offset in tale.causes]
        fields = step.do.order_fields
        if not any(all(book.asked[name] == order[name] for name in fields) for order in orders):
            yield Violation("conservation", id, f"{step.name} was asked for something else than was ordered")
