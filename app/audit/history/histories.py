"""The history of each saga. An order id may be placed again after its saga has expired: that is a second life.

Each life has a history of its own, with decisions numbered from 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.audit.history.replay import replay
from app.audit.history.replayed_saga import Phase, ReplayedSaga
from app.audit.recording.recording import Coordinates
from app.audit.recording.records import Decision, Message, Object, ms_of, order_content
from app.audit.spec import SagaSpec, VersionSpec

CLOCK_SKEW_MS = 2_000
"""A record's timestamp is its writer's wall clock, which may lag the clock by which the saga decided by this much."""

_NO_VERSION = VersionSpec(())
_ENDS = {"saga.completed": Phase.COMPLETED, "saga.rolled_back": Phase.ROLLED_BACK}


@dataclass(slots=True, eq=False)
class SagaHistory:
    """All records of one saga, by record key. Replies that became dead letters are left out."""

    saga_id: str
    partition: int
    decisions: list[Decision] = field(default_factory=list)
    commands: list[Message] = field(default_factory=list)
    outcomes: list[Message] = field(default_factory=list)
    replies: list[Message] = field(default_factory=list)
    version: VersionSpec | None = None
    """The version that the saga follows; None if the spec lacks it, or if no decision names one."""
    replayed: ReplayedSaga = field(default_factory=lambda: ReplayedSaga("", _NO_VERSION))
    start: Message | None = None
    """The order.place message that started the saga."""
    order: Object | None = None
    """The content of that order."""

    @property
    def since_ms(self) -> int:
        """The time of the first decision, in ms since 1970; 0 without one."""
        return (self.decisions[0].at_ms or 0) if self.decisions else 0

    @property
    def ended_in_unknown_version(self) -> bool:
        """The saga ended in a version that the spec lacks, so it can't be judged."""
        return self.version is None and self.replayed.ended

    def may_be_expired(self, at_ms: int) -> bool:
        """The saga has ended, and its retention may be over at a record's timestamp (ms since 1970)."""
        forget_ms = self.replayed.forget_ms
        return self.ended_in_unknown_version or (forget_ms is not None and at_ms + CLOCK_SKEW_MS >= forget_ms)

    def replay_decisions(self, spec: SagaSpec, inputs: Mapping[Coordinates, Message]) -> None:
        """Sets `version`, `replayed`, `start` and `order` from the decisions."""
        version = next((decision.version for decision in self.decisions if not decision.flaw), 0)
        self.version = spec.versions.get(version)
        if self.version is not None:
            self.replayed = replay(self.saga_id, spec, self.version, self.decisions, inputs)
        else:
            self.replayed.phase = _last_end(self.decisions)
        started = (d for d in self.decisions if any(event.get("type") == "saga.started" for event in d.events))
        first = next(started, None)
        if first and first.cause:
            self.start = inputs.get(first.cause)
            self.order = order_content(self.start.body) if self.start else None


def histories(saga_id: str, partition: int, decisions: Iterable[Decision]) -> list[SagaHistory]:
    """One history per life of an order id, in order. A new life begins only after the last one's retention."""
    found = [SagaHistory(saga_id, partition)]
    forget_ms: int | None = None
    for decision in decisions:
        if _is_start(decision) and forget_ms is not None and (decision.at_ms or 0) >= forget_ms:
            found.append(SagaHistory(saga_id, partition))
            forget_ms = None
        found[-1].decisions.append(decision)
        forget_ms = _retention_end(decision, forget_ms)
    return found


def history_at(histories: list[SagaHistory], time: str) -> SagaHistory:
    """The life of an order id that a message of this time belongs to."""
    if len(histories) == 1:
        return histories[0]
    at_ms = ms_of(time) or 0
    begun = [history for history in histories if history.since_ms <= at_ms]
    return (begun or histories)[-1]


def _is_start(decision: Decision) -> bool:
    return decision.seq == 1 and bool(decision.events) and decision.events[0].get("type") == "saga.started"


def _retention_end(decision: Decision, earlier: int | None) -> int | None:
    """The end of retention (ms since 1970) if this decision ends the saga; otherwise the `earlier` one."""
    for event in decision.events:
        if event.get("type") in _ENDS and type(event.get("forget_ms")) is int:
            return int(event["forget_ms"])
    return earlier


def _last_end(decisions: Iterable[Decision]) -> Phase:
    ends = [event["type"] for decision in decisions for event in decision.events if event.get("type") in _ENDS]
    return _ENDS[ends[-1]] if ends else Phase.NOT_STARTED
