"""The language of the stories: given a saga's inputs so far, when the next one comes, then this is the decision."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from app.saga.decide import always, decide
from app.saga.definition import Saga
from app.saga.events import Event
from app.saga.evolve import fold
from app.saga.messages import Input, TimerDue
from app.saga.outputs import Output, SendCommand, SendOutcome, outputs_of
from app.saga.state import NO_SAGA, ActiveStep, Progress, State, due_ms
from app.saga.transition import Admits
from app.saga.verdict import EXPIRED, NO_CHANGE, DeadLettered, Decision, Verdict
from tests.saga.order_messages import ID

NOON = 43_200_000
SECOND = 1_000


class _NextTimer:
    """No message comes until the time that the state waits for."""


NEXT_TIMER = _NextTimer()


@dataclass(frozen=True)
class AtCapacity:
    """An input while no participant has capacity, and no failed step keeps its slot."""

    given: "Input | _NextTimer"


StoryInput = Input | _NextTimer | AtCapacity
ExpectedEvent = str | Mapping[str, object]


@dataclass(frozen=True)
class Story:
    """A saga so far, everything that it sent, and the time (ms since 1970) of its next input."""

    saga: Saga
    progress: Progress
    at: int
    sent: tuple[Output, ...] = ()

    @property
    def state(self) -> Any:
        """The state of the saga."""
        return self.progress.state

    @property
    def active(self) -> Any:
        """The only active step."""
        (active,) = self.state.active_steps
        return active

    @property
    def due(self) -> int | None:
        """The next time (ms since 1970) that the saga waits for."""
        return due_ms(self.progress.state)

    @property
    def commands(self) -> list[SendCommand]:
        """Every command sent so far."""
        return [output for output in self.sent if isinstance(output, SendCommand)]

    def when(
        self, given: StoryInput, at: int | None = None, try_acquire: Admits = always, keeps_slot: Admits = always
    ) -> "Reaction":
        """What the saga makes of an input at a time (ms since 1970, by default the story's own).

        With `no_capacity_for(...)` some participants have no capacity, or let no failed step keep its slot.
        """
        if isinstance(given, AtCapacity):
            given, try_acquire, keeps_slot = given.given, no_capacity, no_capacity
        resolved, now = self._resolved(given, at)
        verdict = decide(self.saga, ID, self.progress, resolved, now, try_acquire, keeps_slot)
        return Reaction(self, resolved, now, verdict)

    def moved_by(self, given: StoryInput) -> "Story":
        """The story after an input that must change the state."""
        reaction = self.when(given)
        assert isinstance(reaction.verdict, Decision), f"{given} led to no decision in {self.state}"
        assert reaction.after.state != self.state, f"{given} did not change {self.state}"
        return reaction.after

    def replayed(self, events: Sequence[Event]) -> "Story":
        """The story after one decision of its log."""
        return replace(self, progress=fold(self.saga, self.progress, events))

    def _resolved(self, given: Input | _NextTimer, at: int | None) -> tuple[Input, int]:
        if not isinstance(given, _NextTimer):
            return given, self.at if at is None else at
        assert self.due is not None, f"{self.state} has no timer"
        return TimerDue(self.due), max(self.due, self.at) if at is None else at


@dataclass(frozen=True)
class Reaction:
    """An input to a saga, and the verdict on it."""

    before: Story
    given: Input
    at: int
    verdict: Verdict

    @property
    def after(self) -> Story:
        """The story a second later."""
        progress = self.verdict.progress if isinstance(self.verdict, Decision) else self.before.progress
        if self.verdict == EXPIRED:
            progress = NO_SAGA
        return Story(self.before.saga, progress, self.at + SECOND, (*self.before.sent, *self.sent))

    @property
    def events(self) -> list[Event]:
        """The events of the decision; none if there is no decision."""
        return self.verdict.events if isinstance(self.verdict, Decision) else []

    @property
    def sent(self) -> list[Output]:
        """The commands and outcomes of the decision."""
        return outputs_of(self.before.saga, ID, self.verdict) if isinstance(self.verdict, Decision) else []

    def then(
        self,
        *,
        commands: Sequence[SendCommand] = (),
        outcome: SendOutcome | None = None,
        events: Sequence[ExpectedEvent] | None = None,
        state: type[State] | State | None = None,
        active: type[ActiveStep] | ActiveStep | None = None,
    ) -> Story:
        """A decision that sends exactly these commands and this outcome; `active` is the only active step after it.

        Events, the state and the active step are each expected in full, or by type alone.
        """
        assert isinstance(self.verdict, Decision), f"{self.given} led to {self.verdict} in {self.before.state}"
        assert [output for output in self.sent if isinstance(output, SendCommand)] == list(commands)
        assert [output for output in self.sent if isinstance(output, SendOutcome)] == ([outcome] if outcome else [])
        if events is not None:
            assert _as_detailed(self.events, events) == list(events)
        if state is not None:
            assert (type(self.after.state) if isinstance(state, type) else self.after.state) == state
        if active is not None:
            assert (type(self.after.active) if isinstance(active, type) else self.after.active) == active
        assert self.after.progress.seq == self.before.progress.seq + 1
        return self.after

    def then_no_change(self) -> Story:
        """Nothing changes, and nothing is recorded."""
        assert self.verdict == NO_CHANGE
        return self.after

    def then_expired(self) -> Story:
        """The saga's state is deleted, and nothing is recorded."""
        assert self.verdict == EXPIRED
        return self.after

    def then_dead_lettered(self, code: str) -> Story:
        """The input goes to the dead letters with this code, and nothing changes."""
        assert isinstance(self.verdict, DeadLettered)
        assert self.verdict.code == code
        assert self.verdict.message
        return self.after

    def then_ignored(self) -> Story:
        """The reply is recorded, and changes nothing."""
        reply, (event,) = cast("Any", self.given), cast("Any", self.events)
        ignored = {"type": "saga.reply.ignored", "reply": reply.type, "command": reply.command}
        assert event == {**ignored, "reason": event["reason"]}
        assert event["reason"]
        return self.then(state=self.before.state)

    def then_cancel_refused(self, reason: str) -> Story:
        """The shop gets the reason as an outcome; nothing changes."""
        refused = SendOutcome("order.cancel.refused", {"order_id": ID, "reason": reason})
        event = {"type": "saga.cancel.refused", "reason": reason}
        return self.then(outcome=refused, events=[event], state=self.before.state)

    def then_operation_refused(self, operation: str, refusal: str) -> Story:
        """The operation is recorded with the reason why it is refused; nothing changes."""
        operation_input = cast("Any", self.given)
        event = {"type": "saga.operation.refused", "operation": operation, "refusal": refusal}
        event |= {"operator": operation_input.operator, "reason": operation_input.reason}
        return self.then(events=[event], state=self.before.state)


def no_capacity(_: str) -> bool:
    """No participant has capacity."""
    return False


def no_capacity_for(*steps: str) -> Admits:
    """Every participant has capacity, except those of these steps."""
    return lambda step: step not in steps


def given(saga: Saga, *history: StoryInput | Sequence[Event]) -> Story:
    """A saga with this history: inputs that each changed its state, or the events of decisions in its log."""
    story = Story(saga, NO_SAGA, NOON)
    for part in history:
        story = story.replayed(part) if isinstance(part, Sequence) else story.moved_by(part)
    return story


def _as_detailed(events: Sequence[Event], expected: Sequence[ExpectedEvent]) -> list[Any]:
    """The events, each reduced to its type where only the type is expected."""
    by_type = [isinstance(one, str) for one in expected] + [False] * len(events)
    return [event["type"] if typed else event for event, typed in zip(events, by_type, strict=False)]
