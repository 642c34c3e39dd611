"""The story of each saga. An id that was forgotten may be placed again: then it has another story, numbered from 1."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.audit.journey import Journey, Phase
from app.audit.messages import Decision, Message, Object, content, ms_of
from app.audit.path import walk
from app.audit.recording import Coordinates
from app.audit.terms import Plan, Terms

CLOCKS_APART_MS = 2_000
"""A record's time is its writer's wall clock, which may be so far behind the clock by which the saga decided."""

_NO_PLAN = Plan(())
_ENDS = {"saga.completed": Phase.COMPLETED, "saga.rolled_back": Phase.ROLLED_BACK}


@dataclass(slots=True, eq=False)
class Story:
    """All that was written of one saga, by the keys of the records; replies without those in the dead letters."""

    saga_id: str
    partition: int
    decisions: list[Decision] = field(default_factory=list)
    commands: list[Message] = field(default_factory=list)
    outcomes: list[Message] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    plan: Plan | None = None
    """The version that it follows; None when that isn't among the terms, or not told."""
    journey: Journey = field(default_factory=lambda: Journey("", _NO_PLAN))
    start: Message | None = None
    """The order that started the saga."""
    order: Object | None = None
    """What that order says."""

    @property
    def since_ms(self) -> int:
        """When it began, in ms since 1970."""
        return (self.decisions[0].at_ms or 0) if self.decisions else 0

    @property
    def unknown(self) -> bool:
        """It ended by a version that the terms no longer have, so that it can't be judged."""
        return self.plan is None and self.journey.ended

    def over(self, at_ms: int) -> bool:
        """It has ended and may be forgotten at that time, in ms since 1970, of a record's writer."""
        forget_ms = self.journey.forget_ms
        return self.unknown or (forget_ms is not None and at_ms + CLOCKS_APART_MS >= forget_ms)

    def read(self, terms: Terms, inputs: Mapping[Coordinates, Message]) -> None:
        """Finds out where its decisions led it, and what began it."""
        version = next((decision.version for decision in self.decisions if not decision.flaw), 0)
        self.plan = terms.plans.get(version)
        if self.plan is not None:
            self.journey = walk(self.saga_id, terms, self.plan, self.decisions, inputs)
        else:
            self.journey.phase = _last_end(self.decisions)
        started = (d for d in self.decisions if any(event.get("type") == "saga.started" for event in d.events))
        first = next(started, None)
        if first and first.cause:
            self.start = inputs.get(first.cause)
            self.order = content(self.start.body) if self.start else None


def lives(saga_id: str, partition: int, decisions: Iterable[Decision]) -> list[Story]:
    """The stories of an id, in order; a second one only begins when the one before was due to be forgotten."""
    found = [Story(saga_id, partition)]
    forget_ms: int | None = None
    for decision in decisions:
        if _begins(decision) and forget_ms is not None and (decision.at_ms or 0) >= forget_ms:
            found.append(Story(saga_id, partition))
            forget_ms = None
        found[-1].decisions.append(decision)
        forget_ms = _forgotten_at(decision, forget_ms)
    return found


def life_at(stories: list[Story], time: str) -> Story:
    """To which of an id's stories a message of that time belongs."""
    if len(stories) == 1:
        return stories[0]
    at_ms = ms_of(time) or 0
    begun = [story for story in stories if story.since_ms <= at_ms]
    return (begun or stories)[-1]


def _begins(decision: Decision) -> bool:
    return decision.seq == 1 and bool(decision.events) and decision.events[0].get("type") == "saga.started"


def _forgotten_at(decision: Decision, before: int | None) -> int | None:
    """When the saga is forgotten, if this decision or one before ended it."""
    for event in decision.events:
        if event.get("type") in _ENDS and type(event.get("forget_ms")) is int:
            return int(event["forget_ms"])
    return before


def _last_end(decisions: Iterable[Decision]) -> Phase:
    ends = [event["type"] for decision in decisions for event in decision.events if event.get("type") in _ENDS]
    return _ENDS[ends[-1]] if ends else Phase.NOT_STARTED
