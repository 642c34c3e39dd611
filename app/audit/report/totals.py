"""Counts and amounts of a run, for people to read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from app.audit.checks.conservation import Account, account_of
from app.audit.evidence import Evidence
from app.audit.history.replayed_saga import Phase
from app.audit.recording.records import Message
from app.audit.spec import StepSpec
from app.wire.topics import REQUESTS


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of records, orders and sagas, and the amounts that participants moved."""

    records: int
    orders_placed: int
    orders_distinct: int
    orders_repeated: int
    started: int
    completed: int
    rejected: int
    cancelled: int
    stuck: int
    running: int
    dead_letters: Mapping[str, int]
    decisions: int
    commands: int
    commands_retried: int
    """Commands after the first attempt of their effect."""
    replies: int
    replies_repeated: int
    """Replies with the id of an earlier reply."""
    replies_ignored: int
    accounts: Mapping[StepSpec, Account]
    """The amounts that each participant moved; units as in Amounts."""


def totals(evidence: Evidence) -> Totals:
    """Adds up a recording. A misrouted record and its copy in the owning partition count once."""
    inputs = [message for message in evidence.inputs.values() if _is_in_owning_partition(evidence, message)]
    orders = [message for message in inputs if message.record.topic == REQUESTS.name and message.type == "order.place"]
    replies = [message for message in inputs if message.record.topic in evidence.spec.reply_topics]
    histories = list(evidence.histories)
    phases = Counter(history.replayed.phase for history in histories)
    stuck = sum(bool(history.replayed.stuck) for history in histories)
    outcomes = Counter(outcome.type for history in histories for outcome in history.outcomes)
    commands = [command for history in histories for command in history.commands]
    with_effect = {letter.origin for letter in evidence.dead_letters}
    with_effect |= {history.start.record.coordinates for history in histories if history.start}
    return Totals(
        records=len(evidence.recording.records),
        orders_placed=len(orders),
        orders_distinct=len({order.saga_id for order in orders}),
        orders_repeated=sum(order.record.coordinates not in with_effect for order in orders),
        started=sum(phases.values()) - phases[Phase.NOT_STARTED],
        completed=outcomes["order.completed"],
        rejected=outcomes["order.rejected"],
        cancelled=outcomes["order.cancelled"],
        stuck=stuck,
        running=phases[Phase.RUNNING] + phases[Phase.COMPENSATING] - stuck,
        dead_letters=dict(sorted(Counter(letter.reason for letter in evidence.dead_letters).items())),
        decisions=len(evidence.decisions),
        commands=len(commands),
        commands_retried=sum(not command.id.endswith(":1") for command in commands),
        replies=len(replies),
        replies_repeated=len(replies) - len({reply.id for reply in replies}),
        replies_ignored=sum(history.replayed.ignored_replies for history in histories),
        accounts={step: _account(evidence, step) for step in evidence.spec.steps.values()},
    )


def _account(evidence: Evidence, step: StepSpec) -> Account:
    total = Account()
    for history in evidence.histories:
        total.add(account_of(evidence.spec, history, step))
    return total


def _is_in_owning_partition(evidence: Evidence, message: Message) -> bool:
    record = message.record
    return record.key is None or evidence.owning_partition(record.key) == record.partition
