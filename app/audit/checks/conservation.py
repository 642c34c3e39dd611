"""INV-6: money and goods of each order add up.

Replies say what participants did. Each effect counts once, however often it was replied to.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.audit.evidence import Evidence
from app.audit.history.histories import SagaHistory
from app.audit.history.replayed_saga import Phase
from app.audit.invariants import Violation
from app.audit.recording.records import Message, Object
from app.audit.spec import DO, UNDO, Effect, SagaSpec, StepSpec, parse_command_id

MONEY, GOODS = "total", "lines"
"""Command fields that give the amount a participant moves. A step with neither moves 1 per order."""

Amounts = Counter[str]
"""Minor units by currency, pieces by product, or the number of times a step was done by its name."""


@dataclass(slots=True)
class Account:
    """The amounts that a participant moved for some orders.

    `moved` less `returned` and `settled_by_operator` must be what `completed` orders and `held` ones (of sagas that
    have not ended) account for.
    """

    moved: Amounts = field(default_factory=Counter)
    returned: Amounts = field(default_factory=Counter)
    settled_by_operator: Amounts = field(default_factory=Counter)
    completed: Amounts = field(default_factory=Counter)
    held: Amounts = field(default_factory=Counter)

    def add(self, other: "Account") -> None:
        """Adds another account to this one."""
        self.moved.update(other.moved)
        self.returned.update(other.returned)
        self.settled_by_operator.update(other.settled_by_operator)
        self.completed.update(other.completed)
        self.held.update(other.held)

    @property
    def kept(self) -> Amounts:
        """The amounts moved and not returned or settled by an operator; negative if more came back than was moved."""
        kept = Counter(self.moved)
        kept.subtract(self.returned)
        kept.subtract(self.settled_by_operator)
        return Counter({name: amount for name, amount in kept.items() if amount})

    @property
    def balanced(self) -> bool:
        """Completed and unfinished orders account for all that is kept."""
        return self.kept == self.completed + self.held


def conserved(evidence: Evidence) -> Iterator[Violation]:
    """INV-6, once settled."""
    for history in evidence.complete_histories():
        for step in history.replayed.version.steps:
            account = account_of(evidence.spec, history, step)
            if history.decisions and not account.balanced:
                yield Violation("INV-6", history.saga_id, f"{step.name}: {_imbalance(account, history)}")


def account_of(spec: SagaSpec, history: SagaHistory, step: StepSpec) -> Account:
    """The amounts that one saga moved at one participant; nothing if the saga lacks the step."""
    account, done, replayed = Account(), _done(spec, history), history.replayed
    replayed_step = replayed.steps.get(step.name)
    if replayed_step is None:
        return account
    if (step.name, DO) in done:
        moved = _amounts(done[step.name, DO], step)
        account.moved.update(moved)
        if (step.name, UNDO) in done:
            account.returned.update(moved)
        elif replayed_step.undone and replayed_step.by_operator:
            account.settled_by_operator.update(moved)
        elif not replayed.ended:
            account.held.update(moved)
    skipped = replayed_step.by_operator and (step.name, DO) not in done
    if replayed.phase is Phase.COMPLETED and history.order is not None and not skipped:
        account.completed.update(_amounts(history.order, step))
    return account


def _done(spec: SagaSpec, history: SagaHistory) -> dict[Effect, Object]:
    """The effects that participants report as done, each with the body of its command."""
    commands = {command.id: command for command in history.commands}
    done: dict[Effect, Object] = {}
    for reply in history.replies:
        effect = _reported_effect(spec, reply)
        named = parse_command_id(history.saga_id, reply.causation)
        if effect is not None and named is not None and named[0] == effect and reply.causation in commands:
            done.setdefault(effect, commands[reply.causation].body)
    return done


def _reported_effect(spec: SagaSpec, reply: Message) -> Effect | None:
    step = spec.reply_topics[reply.record.topic]
    return {step.succeeded: (step.name, DO), step.undone: (step.name, UNDO)}.get(reply.type)


def _amounts(body: Object, step: StepSpec) -> Amounts:
    """The amounts in a command or an order; none if they can't be read."""
    amounts: Amounts = Counter()
    try:
        if MONEY in step.do.fields:
            amounts[str(body[MONEY]["currency"])] += int(body[MONEY]["minor"])
        elif GOODS in step.do.fields:
            for line in body[GOODS]:
                amounts[str(line["sku"])] += int(line["quantity"])
        else:
            amounts[step.name] += 1
    except (KeyError, TypeError, ValueError):
        return Counter()
    return +amounts


def _imbalance(account: Account, history: SagaHistory) -> str:
    kept, expected = sum(account.kept.values()), sum((account.completed + account.held).values())
    return f"the participant keeps {kept} instead of {expected}; the saga is {history.replayed.phase_text}"
