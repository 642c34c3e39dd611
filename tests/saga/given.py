"""The language of the stories: given what a saga went through, when it is told something, then this comes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from app.saga.decide import always, decide
from app.saga.definition import Saga
from app.saga.effects import Effect, SendCommand, SendOutcome, effects
from app.saga.events import Event
from app.saga.evolve import advance
from app.saga.messages import Input, TimerDue
from app.saga.state import UNKNOWN, Leg, Progress, State, due_ms
from app.saga.turn import Room
from app.saga.verdict import FORGOTTEN, NOTHING, Decision, Unacceptable, Verdict
from tests.saga.words import ID

NOON = 43_200_000
SECOND = 1_000


class _Waited:
    """Nobody says anything until the time comes that the state waits for."""


WAITED = _Waited()


@dataclass(frozen=True)
class Crowded:
    """Something that is said while no participant bears anything more."""

    said: "Input | _Waited"


Said = Input | _Waited | Crowded
Expected = str | Mapping[str, object]


@dataclass(frozen=True)
class Story:
    """A saga so far with all that it sent, and when (ms since 1970) it is told the next thing."""

    saga: Saga
    progress: Progress
    at: int
    sent: tuple[Effect, ...] = ()

    @property
    def state(self) -> Any:
        """Where the saga is."""
        return self.progress.state

    @property
    def leg(self) -> Any:
        """Where the one step under way is."""
        (leg,) = self.state.legs
        return leg

    @property
    def due(self) -> int | None:
        """When (ms since 1970) the saga wants to be told of the time."""
        return due_ms(self.progress.state)

    def when(self, said: Said, at: int | None = None, room: Room = always, bears: Room = always) -> "Telling":
        """The saga is told something, at `at` (ms since 1970) if that matters.

        Some participants may have no room (`without(...)`), or not bear that a failed command keeps its room.
        """
        if isinstance(said, Crowded):
            said, room, bears = said.said, no_room, no_room
        given, now = self._heard(said, at)
        return Telling(self, given, now, decide(self.saga, ID, self.progress, given, now, room, bears))

    def lived(self, said: Said) -> "Story":
        """The story after something that must have moved the saga."""
        telling = self.when(said)
        assert isinstance(telling.verdict, Decision), f"{said} came to nothing in {self.state}"
        assert telling.after.state != self.state, f"{said} did not move {self.state}"
        return telling.after

    def logged(self, events: Sequence[Event]) -> "Story":
        """The story after a decision read from its log."""
        return replace(self, progress=advance(self.saga, self.progress, events))

    def _heard(self, said: Input | _Waited, at: int | None) -> tuple[Input, int]:
        if not isinstance(said, _Waited):
            return said, self.at if at is None else at
        assert self.due is not None, f"{self.state} waits for no time"
        return TimerDue(self.due), max(self.due, self.at) if at is None else at


@dataclass(frozen=True)
class Telling:
    """What a saga was told, and what it made of that."""

    before: Story
    given: Input
    at: int
    verdict: Verdict

    @property
    def after(self) -> Story:
        """The story as it goes on, a second later."""
        progress = self.verdict.progress if isinstance(self.verdict, Decision) else self.before.progress
        if self.verdict == FORGOTTEN:
            progress = UNKNOWN
        return Story(self.before.saga, progress, self.at + SECOND, (*self.before.sent, *self.sent))

    @property
    def events(self) -> list[Event]:
        """What happened; empty when the saga did not take it in."""
        return self.verdict.events if isinstance(self.verdict, Decision) else []

    @property
    def sent(self) -> list[Effect]:
        """What the saga sends."""
        return effects(self.before.saga, ID, self.verdict) if isinstance(self.verdict, Decision) else []

    def then(
        self,
        *,
        commands: Sequence[SendCommand] = (),
        outcome: SendOutcome | None = None,
        events: Sequence[Expected] | None = None,
        state: type[State] | State | None = None,
        leg: type[Leg] | Leg | None = None,
    ) -> Story:
        """It sends exactly these commands and this outcome; `leg` is where the one step under way is then.

        Events are whole, or a type alone; so are the state and the leg.
        """
        assert isinstance(self.verdict, Decision), f"{self.given} came to {self.verdict} in {self.before.state}"
        assert [effect for effect in self.sent if isinstance(effect, SendCommand)] == list(commands)
        assert [effect for effect in self.sent if isinstance(effect, SendOutcome)] == ([outcome] if outcome else [])
        if events is not None:
            assert _as_detailed(self.events, events) == list(events)
        if state is not None:
            assert (type(self.after.state) if isinstance(state, type) else self.after.state) == state
        if leg is not None:
            assert (type(self.after.leg) if isinstance(leg, type) else self.after.leg) == leg
        assert self.after.progress.seq == self.before.progress.seq + 1
        return self.after

    def then_nothing(self) -> Story:
        """Nothing changes and nothing is recorded."""
        assert self.verdict == NOTHING
        return self.after

    def then_forgotten(self) -> Story:
        """Nothing is recorded, and nothing is known of the saga any more."""
        assert self.verdict == FORGOTTEN
        return self.after

    def then_unacceptable(self, code: str) -> Story:
        """It belongs to the dead letters, and changes nothing."""
        assert isinstance(self.verdict, Unacceptable)
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
        """The shop is told why there is nothing to cancel; nothing changes."""
        told = SendOutcome("order.cancel.refused", {"order_id": ID, "reason": reason})
        event = {"type": "saga.cancel.refused", "reason": reason}
        return self.then(outcome=told, events=[event], state=self.before.state)

    def then_operation_refused(self, operation: str, refusal: str) -> Story:
        """The operator's wish is recorded with why it makes no sense; nothing changes."""
        wish = cast("Any", self.given)
        event = {"type": "saga.operation.refused", "operation": operation, "refusal": refusal}
        return self.then(events=[{**event, "operator": wish.operator, "reason": wish.reason}], state=self.before.state)


def no_room(_: str) -> bool:
    """Every participant has as much to do as it can bear."""
    return False


def without(*steps: str) -> Room:
    """Every participant has room, but not those of these steps."""
    return lambda step: step not in steps


def given(saga: Saga, *history: Said | Sequence[Event]) -> Story:
    """A saga that went through this: things it was told, each of which moved it, or decisions of its log."""
    story = Story(saga, UNKNOWN, NOON)
    for part in history:
        story = story.logged(part) if isinstance(part, Sequence) else story.lived(part)
    return story


def _as_detailed(events: Sequence[Event], expected: Sequence[Expected]) -> list[Any]:
    """The events, each as a type alone where only a type is expected."""
    types = [isinstance(one, str) for one in expected] + [False] * len(events)
    return [event["type"] if typed else event for event, typed in zip(events, types, strict=False)]
