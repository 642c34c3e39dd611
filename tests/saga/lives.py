"""Whole lives of any sagas, made of urges: wishes that can be followed in every state."""

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, get_args

import orjson

from app.saga.decide import decide
from app.saga.definition import Command, Kind, Retry, Saga, Step
from app.saga.effects import Effect, effects
from app.saga.events import Event
from app.saga.identity import Direction, command_id
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Input,
    Order,
    Place,
    Refused,
    RoomFor,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.messages import Retry as TryAgain
from app.saga.state import UNKNOWN, Leg, Progress, Running, State, due_ms
from app.saga.turn import Room
from app.saga.verdict import Decision, Forgotten, Verdict
from app.wire import statedoc

T = TypeVar("T")

ID = "o-1"
ORDER: Order = {
    "order_id": ID,
    "customer_id": "ann",
    "total": {"currency": "EUR", "minor": 4200},
    "lines": [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}],
}
FIELDS = ("customer_id", "lines", "total")

# sagas


class Part(NamedTuple):
    """A step: how often its do and its undo are asked for, what it comes after (None: the one before), its time-out."""

    do_attempts: int = 2
    undo_attempts: int = 2
    after: tuple[int, ...] | None = None
    timeout_ms: int = 30_000


def saga_of(
    parts: Iterable[Part | tuple[int, int]],
    pivot: int | None = None,
    *,
    pivot_undone: bool = False,
    deadline_ms: int | None = None,
) -> Saga:
    """A saga with a step for each part: those behind the pivot come after it, those before it before."""
    whole = [Part(*part) for part in parts]
    steps = tuple(_step(index, whole, pivot, pivot_undone=pivot_undone) for index in range(len(whole)))
    return Saga("any", 1, steps, deadline_ms)


class Pick(Protocol):
    """A choice of one thing among some."""

    def __call__(self, among: Sequence[T], /) -> T:
        """The one."""


def any_saga(pick: Pick) -> Saga:
    """One to five steps in any order that there can be, with or without a pivot and a deadline."""
    count = pick(range(1, 6))
    parts = [
        Part(pick((1, 2, 3)), pick((1, 2, 3)), pick(_choices(index)), pick((30_000, 30_000, 45_000)))
        for index in range(count)
    ]
    pivot, undone = pick((None, *range(count))), pick((False, False, True))
    return saga_of(parts, pivot, pivot_undone=undone, deadline_ms=pick((None, 30_000, 75_000)))


def _choices(index: int) -> list[tuple[int, ...] | None]:
    before = range(index)
    return [None, None, *(some for size in range(min(index, 3) + 1) for some in combinations(before, size))]


def _step(index: int, parts: list[Part], pivot: int | None, *, pivot_undone: bool) -> Step:
    name, part = f"s{index}", parts[index]
    kind: Kind = "compensatable" if pivot is None or index < pivot else "pivot" if index == pivot else "retriable"
    after = _after(index, part, pivot)
    earlier = tuple(f"r{before}" for before in after or ())
    needed = FIELDS[index % 3 :]
    undone = kind == "compensatable" or (kind == "pivot" and pivot_undone)
    undo_retry = Retry(part.undo_attempts, 7, 50)
    return Step(
        name,
        Command(f"{name}.do", needed[:2], earlier[-1:], part.timeout_ms, Retry(part.do_attempts, 1, 100)),
        f"{name}.yes",
        f"{name}.failed",
        f"r{index}",
        Command(f"{name}.undo", needed[:1], (*earlier[:1], f"r{index}"), 20_000, undo_retry) if undone else None,
        f"{name}.undone" if undone else None,
        None if kind == "retriable" else f"{name}.no",
        kind,
        None if after is None else tuple(f"s{before}" for before in after),
    )


def _after(index: int, part: Part, pivot: int | None) -> tuple[int, ...] | None:
    if pivot is None or index < pivot or part.after is None:
        return tuple(range(index)) if index == pivot else part.after
    if index == pivot:
        return tuple(range(index))
    return tuple(before for before in part.after if before > pivot) or (pivot,)


# lives

What = Literal[
    "answer", "wait", "fail", "room", "fail for good", "refuse", "succeed", "undo", "cancel", "retry", "skip",
    "compensate", "place", "place another", "another time", "retry one", "skip one",
]  # fmt: skip
Aim = Literal["awaited", "earlier attempt", "unsent attempt", "other step", "other direction", "other order"]


class Urge(NamedTuple):
    """What is told, what a reply answers, and of which leg; how much later (ms), and what the participants bear."""

    what: What
    aim: Aim = "awaited"
    leg: int = 0
    pause_ms: int = 0
    borne: tuple[int, int] = (-1, -1)


_WHATS: tuple[What, ...] = (
    *("answer",) * 9,
    *("wait",) * 5,
    *("fail",) * 6,
    *("room",) * 3,
    "refuse",
    "skip",
    *get_args(What),
)
_AIMS: tuple[Aim, ...] = (*("awaited",) * 14, *get_args(Aim))
_PAUSES_MS = (0, 1, 1_000, 0, 90_000, -5_000)
_BORNE = ((-1, -1), (-1, -1), (-1, -1), (-1, 0), (0, -1), (0, 0), (0b0101, 0b1010), (0b1010, 0b1010))
"""Which steps (bits) have room for a command, and which bear that one that failed keeps its room."""
PLACED = Urge("place")


def urge(dice: int) -> Urge:
    """The urge that dice of three bytes give."""
    chosen: list[Any] = []
    for among in (_WHATS, _AIMS, range(4), _PAUSES_MS, _BORNE):
        dice, at = divmod(dice, len(among))
        chosen.append(among[at])
    return Urge(*chosen)


@dataclass(frozen=True)
class Moment:
    """A saga, what it was told and when (ms since 1970), what its participants bore, and what came of it."""

    before: Progress
    given: Input
    at: int
    borne: tuple[int, int]
    verdict: Verdict
    sent: list[Effect]

    @property
    def events(self) -> list[Event]:
        """What happened."""
        return self.verdict.events if isinstance(self.verdict, Decision) else []

    @property
    def after(self) -> Progress:
        """How far the saga is now."""
        if isinstance(self.verdict, Forgotten):
            return UNKNOWN
        return self.verdict.progress if isinstance(self.verdict, Decision) else self.before


def live(saga: Saga, urges: Iterable[Urge]) -> list[Moment]:
    """The life of a saga which follows these urges, until it is forgotten."""
    progress, at, life = UNKNOWN, 1_000_000, []
    for urge in urges:
        at += urge.pause_ms
        given = _heard(saga, progress.state, urge)
        if urge.what == "wait" and urge.pause_ms >= 0:
            at = max(at, due_ms(progress.state) or 0)
        life.append(tell(saga, progress, given, at, urge.borne))
        progress = life[-1].after
        if isinstance(life[-1].verdict, Forgotten):
            break
    return life


def tell(saga: Saga, progress: Progress, given: Input, at: int, borne: tuple[int, int] = (-1, -1)) -> Moment:
    """One moment of a life."""
    room, bears = (_among(saga, bits) for bits in borne)
    verdict = decide(saga, ID, progress, given, at, room, bears)
    sent = effects(saga, ID, verdict) if isinstance(verdict, Decision) else []
    return Moment(progress, given, at, borne, verdict, sent)


def trace(life: Iterable[Moment]) -> bytes:
    """All that a life led to, to the byte."""
    return b"\n".join(_bytes(moment) for moment in life)


def any_lives(count: int, seed: int, sort: Callable[[Pick], Saga] = any_saga) -> Iterator[tuple[Saga, list[Moment]]]:
    """So many sagas of a sort with their lives, by chance but the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        saga = sort(chance.choice)
        yield saga, live(saga, [PLACED, *(urge(chance.getrandbits(24)) for _ in range(30))])


def _bytes(moment: Moment) -> bytes:
    state = b"" if moment.after == UNKNOWN else statedoc.encode(moment.after)
    sent: list[Any] = [[type(effect).__name__, effect] for effect in moment.sent]
    return orjson.dumps([type(moment.verdict).__name__, moment.events, sent]) + state


def _among(saga: Saga, bits: int) -> Room:
    return lambda step: bool(bits >> saga.place[step] & 1)


def _heard(saga: Saga, state: State, urge: Urge) -> Input:
    if urge.what in ("answer", "succeed", "undo", "refuse", "fail", "fail for good"):
        return _reply(saga, state, urge)
    match urge.what:
        case "place" | "place another":
            return Place("m", ORDER, urge.what)
        case "wait" | "another time":
            return TimerDue((due_ms(state) or 0) + (urge.what == "another time"))
        case "room":
            return RoomFor(_meant(saga, state, urge)[0].name)
        case "cancel":
            return Cancel("m", "cancelled")
        case "retry":
            return TryAgain("m", "olga", "again")
        case "skip":
            return Skip("m", "olga", "by hand")
        case "retry one":
            return TryAgain("m", "olga", "again", _meant(saga, state, urge)[0].name)
        case "skip one":
            return Skip("m", "olga", "by hand", _meant(saga, state, urge)[0].name)
        case _:
            return Compensate("m", "olga", "fraud")


def _reply(saga: Saga, state: State, urge: Urge) -> Input:
    direction: Direction = "do" if isinstance(state, Running) else "undo"
    step, attempt = _meant(saga, state, urge)
    what = ("succeed" if direction == "do" else "undo") if urge.what == "answer" else urge.what
    if urge.aim == "other direction":
        direction = "undo" if direction == "do" else "do"
    attempt += {"earlier attempt": -1, "unsent attempt": 1}.get(urge.aim, 0)
    return reply(what, step, command_id("o-2" if urge.aim == "other order" else ID, step.name, direction, attempt))


def _meant(saga: Saga, state: State, urge: Urge) -> tuple[Step, int]:
    """The step that an urge means, and its attempt so far."""
    legs: tuple[Leg, ...] = getattr(state, "legs", ())
    if not legs or urge.aim == "other step":
        return saga.steps[urge.leg % len(saga.steps)], 1
    leg = legs[urge.leg % len(legs)]
    return saga.step(leg.step), leg.attempt


def reply(what: str, step: Step, command: str) -> Input:
    """What a step's participant says of a command, be it a sensible answer or not."""
    match what:
        case "succeed":
            return Succeeded("m", step.succeeded, step.name, command, f"result of {command}")
        case "undo":
            return Undone("m", step.undone or "undone", step.name, command)
        case "refuse":
            return Refused("m", step.refused or "refused", step.name, command, "refused")
        case _:
            return Failed("m", step.failed, step.name, command, what, retryable=what == "fail")
