"""Money, stock and parcels: the effects at the participants agree with the ends of the sagas."""

from collections.abc import Iterator, Sequence

from app.saga.state import Completed, RolledBack, stuck
from app.wire.partition import partition_of
from app.wire.state_codec import state_name
from tests.simulation.judge.history import History, OrderHistory
from tests.simulation.judge.inputs_outputs import placed_order
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.participants import Participant
from tests.simulation.plan import Plan


def ends(plan: Plan, history: History, listed: Sequence[bytes]) -> Iterator[Violation]:
    """Each saga has ended, has expired, or is stuck and listed."""
    seen = set(listed)
    for key, order in history.orders.items():
        state = order.progress.state
        if not (isinstance(state, Completed | RolledBack) or order.sagas_started == order.sagas_ended):
            if state_name(state) != "stuck" or key not in seen:
                yield Violation("ends", key.decode(), f"it is {state_name(state)}, and not listed: {state}"[:300])
            elif plan.retry_stuck_at_end:
                yield Violation("ends", key.decode(), f"it is still stuck after its retry: {stuck(state)}")
        elif key in seen:
            yield Violation("ends", key.decode(), "it is listed as stuck, but has ended")
        elif plan.short_retention and order.progress.seq:
            yield Violation("expiry", key.decode(), "it ended long ago, and has not expired")


def conserved(
    kafka: SimulatedKafka, plan: Plan, history: History, last: dict[bytes, str], participants: Sequence[Participant]
) -> Iterator[Violation]:
    """Completed: each step is in effect, for this order. Rolled back: no effect is left that can be undone.

    Steps that an operator did by hand are not checked. Nor are orders that were placed again after they expired: their
    sagas have idempotency keys that participants knew already.
    """
    for key, end in last.items():
        order = history.orders[key]
        for participant in participants:
            if participant.step.name not in order.done_by_hand and order.sagas_started == 1:
                yield from _check_effect(kafka, plan, key.decode(), order, end, participant)


def _check_effect(
    kafka: SimulatedKafka, plan: Plan, id: str, order: OrderHistory, end: str, participant: Participant
) -> Iterator[Violation]:
    effect, step = participant.effects.get(id), participant.step
    in_effect = effect is not None and effect.in_effect
    if in_effect != (end == "saga.completed"):
        yield Violation("conservation", id, f"{end}, but {step.name} is {'' if in_effect else 'not '}in effect")
    if effect is not None:
        number = partition_of(id.encode(), plan.partitions)
        orders = [placed_order(kafka, (topic, number), offset) for topic, offset in order.causes]
        fields = step.do.order_fields
        if not any(all(effect.command[name] == placed[name] for name in fields) for placed in orders):
            yield Violation("conservation", id, f"the command of {step.name} was not for this order")
