"""What participants did for each order, as their replies tell it: each effect once, however often it was answered."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.audit.evidence import Evidence
from app.audit.journey import Phase
from app.audit.lives import Story
from app.audit.messages import Message, Object
from app.audit.statements import Violation
from app.audit.terms import DO, UNDO, Effect, Step, Terms, attempted

MONEY, GOODS = "total", "lines"
"""Fields of a command that say how much its participant moves; without them it is done once for an order."""

Amounts = Counter[str]
"""Minor units by currency, pieces by product, or how often a step was done, by its name."""


@dataclass(slots=True)
class Account:
    """What a participant did for some orders, undid, and had settled by hand; held by completed and by open orders."""

    out: Amounts = field(default_factory=Counter)
    back: Amounts = field(default_factory=Counter)
    by_hand: Amounts = field(default_factory=Counter)
    completed: Amounts = field(default_factory=Counter)
    open: Amounts = field(default_factory=Counter)

    def add(self, other: "Account") -> None:
        """Takes in another account."""
        self.out.update(other.out)
        self.back.update(other.back)
        self.by_hand.update(other.by_hand)
        self.completed.update(other.completed)
        self.open.update(other.open)

    @property
    def kept(self) -> Amounts:
        """What was given out and came back in no way; negative where more came back."""
        kept = Counter(self.out)
        kept.subtract(self.back)
        kept.subtract(self.by_hand)
        return Counter({name: amount for name, amount in kept.items() if amount})

    @property
    def balanced(self) -> bool:
        """What is kept is what completed orders hold, beside what is still under way."""
        return self.kept == self.completed + self.open


def conserved(evidence: Evidence) -> Iterator[Violation]:
    """INV-6, when all is quiet: money and goods of each order add up."""
    for story in evidence.whole_stories():
        for step in story.journey.plan.steps:
            account = account_of(evidence.terms, story, step)
            if story.decisions and not account.balanced:
                yield Violation("INV-6", story.saga_id, f"{step.name}: {_tell(account, story)}")


def account_of(terms: Terms, story: Story, step: Step) -> Account:
    """What one order has moved with one participant; a step that its saga doesn't have moves nothing."""
    account, done, journey = Account(), _done(terms, story), story.journey
    leg = journey.legs.get(step.name)
    if leg is None:
        return account
    if (step.name, DO) in done:
        moved = _amounts(done[step.name, DO], step)
        account.out.update(moved)
        if (step.name, UNDO) in done:
            account.back.update(moved)
        elif leg.undone and leg.by_hand:
            account.by_hand.update(moved)
        elif not journey.ended:
            account.open.update(moved)
    by_hand = leg.by_hand and (step.name, DO) not in done
    if journey.phase is Phase.COMPLETED and story.order is not None and not by_hand:
        account.completed.update(_amounts(story.order, step))
    return account


def _done(terms: Terms, story: Story) -> dict[Effect, Object]:
    """The effects that a participant says it has done, each with the content of its command."""
    commands = {command.id: command for command in story.commands}
    done: dict[Effect, Object] = {}
    for reply in story.replies:
        effect = _success(terms, reply)
        named = attempted(story.saga_id, reply.causation)
        if effect is not None and named is not None and named[0] == effect and reply.causation in commands:
            done.setdefault(effect, commands[reply.causation].body)
    return done


def _success(terms: Terms, reply: Message) -> Effect | None:
    step = terms.replies[reply.record.topic]
    return {step.succeeded: (step.name, DO), step.undone: (step.name, UNDO)}.get(reply.type)


def _amounts(body: Object, step: Step) -> Amounts:
    """What a command or an order moves, as far as it can be read."""
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


def _tell(account: Account, story: Story) -> str:
    kept, wanted = sum(account.kept.values()), sum((account.completed + account.open).values())
    return f"{kept} kept by a saga that is {story.journey.told} and should keep {wanted}"
