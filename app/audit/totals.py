"""What a run adds up to, for a person to read."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from app.audit.evidence import Evidence
from app.audit.journey import Phase
from app.audit.ledger import Account, account_of
from app.audit.messages import Message
from app.audit.terms import Step
from app.wire.topics import REQUESTS


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of records, of orders and of sagas."""

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
    commands_again: int
    """Commands beyond the first attempt of their effect."""
    replies: int
    replies_repeated: int
    """Replies that came with the id of an earlier one."""
    replies_ignored: int
    accounts: Mapping[Step, Account]
    """What each participant moved: see Amounts."""


def totals(evidence: Evidence) -> Totals:
    """Adds up a recording. Records sent on to their right partition count once."""
    at_home = [given for given in evidence.inputs.values() if _is_at_home(evidence, given)]
    orders = [given for given in at_home if given.record.topic == REQUESTS.name and given.type == "order.place"]
    replies = [given for given in at_home if given.record.topic in evidence.terms.replies]
    stories = list(evidence.stories)
    phases = Counter(story.journey.phase for story in stories)
    stuck = sum(bool(story.journey.stuck) for story in stories)
    outcomes = Counter(outcome.type for story in stories for outcome in story.outcomes)
    commands = [command for story in stories for command in story.commands]
    settled = {letter.origin for letter in evidence.dead_letters}
    settled |= {story.start.record.coordinates for story in stories if story.start}
    return Totals(
        records=len(evidence.recording.records),
        orders_placed=len(orders),
        orders_distinct=len({order.saga_id for order in orders}),
        orders_repeated=sum(order.record.coordinates not in settled for order in orders),
        started=sum(phases.values()) - phases[Phase.NOT_STARTED],
        completed=outcomes["order.completed"],
        rejected=outcomes["order.rejected"],
        cancelled=outcomes["order.cancelled"],
        stuck=stuck,
        running=phases[Phase.FORWARD] + phases[Phase.BACKWARD] - stuck,
        dead_letters=dict(sorted(Counter(letter.reason for letter in evidence.dead_letters).items())),
        decisions=len(evidence.decisions),
        commands=len(commands),
        commands_again=sum(not command.id.endswith(":1") for command in commands),
        replies=len(replies),
        replies_repeated=len(replies) - len({reply.id for reply in replies}),
        replies_ignored=sum(story.journey.ignored for story in stories),
        accounts={step: _sum(evidence, step) for step in evidence.terms.steps.values()},
    )


def _sum(evidence: Evidence, step: Step) -> Account:
    whole = Account()
    for story in evidence.stories:
        whole.add(account_of(evidence.terms, story, step))
    return whole


def _is_at_home(evidence: Evidence, given: Message) -> bool:
    record = given.record
    return record.key is None or evidence.home(record.key) == record.partition
