"""Whole lives of sagas with any number of steps, made of urges: wishes that can be followed in every state."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

import orjson

from app.saga.decide import decide
from app.saga.definition import Command, Retry, Saga, Step
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
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.messages import Retry as TryAgain
from app.saga.state import UNKNOWN, Pausing, Progress, Running, State, due_ms
from app.saga.verdict import Decision, Verdict
from app.wire import statedoc

ID = "o-1"
ORDER: Order = {
    "order_id": ID,
    "customer_id": "ann",
    "total": {"currency": "EUR", "minor": 4200},
    "lines": [{"sku": "tea", "quantity": 2, "unit_price": {"currency": "EUR", "minor": 2100}}],
}
FIELDS = ("customer_id", "lines", "total")

What = Literal[
    "answer", "wait", "fail", "fail for good", "refuse", "succeed", "undo", "cancel", "retry", "skip", "compensate",
    "place", "place another", "another time",
]  # fmt: skip
Aim = Literal["awaited", "earlier attempt", "unsent attempt", "other step", "other direction", "other order"]
Urge = tuple[What, Aim, int]

_LIKELY: tuple[What, ...] = ("answer",) * 6 + ("wait",) * 5 + ("fail",) * 10
_AIMS: tuple[Aim, ...] = (*("awaited",) * 10, *get_args(Aim))
PAUSES_MS = (0, 1, 1_000, 90_000, -5_000)
URGES: tuple[Urge, ...] = tuple(product((*_LIKELY, *get_args(What)), _AIMS, PAUSES_MS))
"""Each says what is told, which attempt of which effect it answers, and how much later (ms) it comes."""


@dataclass(frozen=True)
class Moment:
    """A saga, what it was told and when (ms since 1970), and what came of it."""

    before: Progress
    given: Input
    at: int
    verdict: Verdict
    sent: list[Effect]

    @property
    def events(self) -> list[Event]:
        """What happened."""
        return self.verdict.events if isinstance(self.verdict, Decision) else []

    @property
    def after(self) -> Progress:
        """How far the saga is now."""
        return self.verdict.progress if isinstance(self.verdict, Decision) else self.before


def saga_of(attempts: Iterable[tuple[int, int]]) -> Saga:
    """A saga with a step for each pair of numbers: how often its do and its undo are asked for."""
    return Saga("any", 1, tuple(_step(index, *pair) for index, pair in enumerate(attempts)))


def live(saga: Saga, urges: Iterable[Urge]) -> list[Moment]:
    """The life of a saga which follows these urges."""
    progress, at, life = UNKNOWN, 1_000_000, []
    for what, aim, pause in urges:
        at += pause
        given = _heard(saga, progress.state, what, aim)
        if what == "wait" and due_ms(progress.state) is not None and pause >= 0:
            at = max(at, due_ms(progress.state) or 0)
        life.append(tell(saga, progress, given, at))
        progress = life[-1].after
    return life


def tell(saga: Saga, progress: Progress, given: Input, at: int) -> Moment:
    """One moment of a life."""
    verdict = decide(saga, ID, progress, given, at)
    return Moment(progress, given, at, verdict, effects(saga, ID, verdict) if isinstance(verdict, Decision) else [])


def trace(life: Iterable[Moment]) -> bytes:
    """All that a life led to, to the byte."""
    return b"\n".join(_bytes(moment) for moment in life)


def some_lives(count: int, seed: int) -> Iterator[list[Moment]]:
    """So many lives, by chance but the same ones for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        saga = saga_of([(chance.randint(1, 3), chance.randint(1, 3)) for _ in range(chance.randint(1, 5))])
        yield live(saga, [("place", "awaited", 0), *chance.choices(URGES, k=30)])


def _bytes(moment: Moment) -> bytes:
    state = b"" if moment.after == UNKNOWN else statedoc.encode(moment.after)
    sent: list[Any] = [[type(effect).__name__, effect] for effect in moment.sent]
    return orjson.dumps([type(moment.verdict).__name__, moment.events, sent]) + state


def _step(index: int, do_attempts: int, undo_attempts: int) -> Step:
    name = f"s{index}"
    earlier = tuple(f"r{before}" for before in range(index))
    needed = FIELDS[index % 3 :]
    do = Command(f"{name}.do", needed[:2], earlier[-1:], 30_000, Retry(do_attempts, 1, 100))
    undo = Command(f"{name}.undo", needed[:1], (*earlier[:1], f"r{index}"), 20_000, Retry(undo_attempts, 7, 50))
    return Step(name, do, undo, f"{name}.yes", f"{name}.no", f"{name}.undone", f"{name}.failed", f"r{index}")


def _heard(saga: Saga, state: State, what: What, aim: Aim) -> Input:
    if what in ("answer", "succeed", "undo", "refuse", "fail", "fail for good"):
        return _reply(saga, state, what, aim)
    match what:
        case "place" | "place another":
            return Place("m", ORDER, what)
        case "wait" | "another time":
            return TimerDue((due_ms(state) or 0) + (what == "another time"))
        case "cancel":
            return Cancel("m", "cancelled")
        case "retry":
            return TryAgain("m", "olga", "again")
        case "skip":
            return Skip("m", "olga", "by hand")
        case _:
            return Compensate("m", "olga", "fraud")


def _reply(saga: Saga, state: State, what: What, aim: Aim) -> Input:
    direction: Direction = "do" if isinstance(state, Running | Pausing) else "undo"
    if what == "answer":
        what = "succeed" if direction == "do" else "undo"
    step = saga.step(getattr(state, "step", saga.steps[-1].name))
    if aim == "other step":
        step = saga.after(step.name) or saga.before(step.name) or step
    command = _aimed(state, step, direction, aim)
    match what:
        case "succeed":
            return Succeeded("m", step.succeeded, step.name, command, f"result of {command}")
        case "undo":
            return Undone("m", step.undone, step.name, command)
        case "refuse":
            return Refused("m", step.refused, step.name, command, "refused")
        case _:
            return Failed("m", step.failed, step.name, command, what, retryable=what == "fail")


def _aimed(state: State, step: Step, direction: Direction, aim: Aim) -> str:
    if aim == "other direction":
        direction = "undo" if direction == "do" else "do"
    attempt = getattr(state, "attempt", 1) + {"earlier attempt": -1, "unsent attempt": 1}.get(aim, 0)
    return command_id("o-2" if aim == "other order" else ID, step.name, direction, attempt)
