"""The states of a saga as diagrams and a table for readers, drawn from what decide does: nobody keeps them by hand."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.saga.decide import always, decide
from app.saga.definition import DAY_MS, Saga, Step, with_policy
from app.saga.facts import fact
from app.saga.identity import command_id
from app.saga.messages import (
    Cancel,
    Compensate,
    Failed,
    Input,
    Order,
    Place,
    Refused,
    Retry,
    RoomFor,
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import (
    LEGS,
    UNKNOWN,
    Asked,
    Compensating,
    Completed,
    Leg,
    NotStarted,
    Progress,
    RolledBack,
    Running,
    State,
    Stuck,
    Waiting,
    due_ms,
    stuck,
)
from app.saga.verdict import Decision, Forgotten, Unacceptable, Verdict

WORDS: dict[type[Input], str] = {
    Place: "place",
    Cancel: "cancel",
    Succeeded: "succeeded",
    Refused: "refused",
    Undone: "undone",
    Failed: "failed",
    Retry: "retry",
    Skip: "skip",
    Compensate: "compensate",
    TimerDue: "time",
    RoomFor: "room",
}
"""How readers are told of an input, in the order in which they are told."""

COLUMNS = tuple(kind.__name__ for kind in (NotStarted, Running, Compensating, Stuck, Completed, RolledBack))
"""Where a saga can be, in readers' eyes: one with a stuck step is stuck, be it running or compensating."""

FORGOTTEN = "forgotten"
_ENDS = (*COLUMNS, "ignored", "refused", FORGOTTEN, "nothing", "dead letter")
_OUTSIDE = "[*]"
_SPOTS = (*(leg.__name__ for leg in LEGS), _OUTSIDE)
_BEGINS = {Waiting.__name__: "there is no room", Asked.__name__: "there is room"}
_ID = "o"
_ATTEMPTS = 2
_FAR_MS = 3_650 * DAY_MS
_LEGEND = """\
Replies (succeeded, refused, undone, failed) answer what was asked for, `time` is the one that the saga waits for, and
`room` is for a step that waits. A reply to an earlier attempt counts as well, unless it is a passing failure; any other
reply is ignored, and any other time or room comes to nothing. Where an input leads to several states, the steps and
attempts that are left decide, whether a failure is for good, and whether it is the time of a step or the deadline of
the order. What is ignored or refused is recorded and changes nothing else. Nothing leaves no record: the same order
again. A dead letter is another order with the same id, or speaks of one that nobody placed, or that was forgotten."""
_BETWEEN = """\
A saga that is Running, Compensating or Stuck has steps under way, to be done or to be undone. Each of them is somewhere
here, and it leaves when it is answered, skipped or given up; the saga is Stuck as long as one of them is."""


class Move(NamedTuple):
    """What an input comes to in a place (of the columns): the place it leads to, or a word for what becomes of it."""

    place: str
    given: type[Input]
    end: str


class Hop(NamedTuple):
    """A step under way goes from one spot to another when the saga is told something; outside it is not under way."""

    start: str
    end: str
    given: type[Input]


@fact
class Trial:
    """A state, what its saga was told, and what came of that."""

    before: Progress
    given: Input
    verdict: Verdict

    @property
    def after(self) -> Progress:
        """How far the saga is then."""
        return self.verdict.progress if isinstance(self.verdict, Decision) else self.before


def document(saga: Saga) -> str:
    """The diagrams and the table as Markdown."""
    tried = list(trials(saga))
    found = moves(tried)
    pictures = f"{_fenced(diagram(found))}\n\n{_BETWEEN}\n\n{_fenced(steps_diagram(hops(tried)))}"
    return f"{pictures}\n\n{table(found)}\n\n{_LEGEND}\n"


def trials(saga: Saga) -> Iterator[Trial]:
    """All that such a saga can go through, with few attempts for each effect; with room and without."""
    deadlines = (None,) if saga.deadline_ms is None else (1, _FAR_MS)  # before every other time, and after
    for deadline_ms in deadlines:
        yield from _explored(with_policy(saga, attempts=_ATTEMPTS, deadline_ms=deadline_ms))


def moves(tried: Iterable[Trial]) -> list[Move]:
    """Every kind of move once, in the order of the table."""
    found = {Move(place_of(trial.before.state), type(trial.given), _end(trial)) for trial in tried}
    inputs = tuple(WORDS)
    return sorted(found, key=lambda move: (COLUMNS.index(move.place), inputs.index(move.given), _ENDS.index(move.end)))


def hops(tried: Iterable[Trial]) -> list[Hop]:
    """Every kind of hop once, in the order of the diagram."""
    found = {hop for trial in tried for hop in _hops(trial)}
    inputs = tuple(WORDS)
    spot = _SPOTS.index
    return sorted(
        found, key=lambda hop: (hop.start != _OUTSIDE, spot(hop.start), spot(hop.end), inputs.index(hop.given))
    )


def diagram(found: list[Move]) -> str:
    """A Mermaid state diagram of the moves that lead to a place, or out of them all."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for place, given, end in found:
        if end in COLUMNS or end == FORGOTTEN:
            start = _OUTSIDE if place == NotStarted.__name__ else place
            arrows.setdefault((start, _OUTSIDE if end == FORGOTTEN else end), []).append(WORDS[given])
    return _drawn(arrows)


def steps_diagram(found: list[Hop]) -> str:
    """A Mermaid state diagram of a step under way."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for start, end, given in found:
        arrows.setdefault((start, end), []).append(WORDS[given])
    return _drawn({(start, end): [_BEGINS[end]] if start == _OUTSIDE else arrows[start, end] for start, end in arrows})


def table(found: list[Move]) -> str:
    """A Markdown table: a row for each input, a column for each place, and what the one comes to in the other."""
    cells: dict[tuple[str, type[Input]], list[str]] = {}
    for place, given, end in found:
        cells.setdefault((place, given), []).append(end)
    rows = [
        f"| **{WORDS[given]}** |" + "".join(f" {', '.join(cells.get((place, given), '-'))} |" for place in COLUMNS)
        for given in WORDS
    ]
    return "\n".join([f"| told | {' | '.join(COLUMNS)} |", "|---|" + "---|" * len(COLUMNS), *rows])


def place_of(state: State) -> str:
    """In which column a state is."""
    return Stuck.__name__ if stuck(state) else type(state).__name__


def _explored(saga: Saga) -> Iterator[Trial]:
    seen, open_ends = {_abstract(UNKNOWN.state)}, [UNKNOWN]
    while open_ends:
        progress = open_ends.pop()
        for given in _inputs(saga, progress.state):
            for room in (always, _none):
                trial = Trial(progress, given, decide(saga, _ID, progress, given, 0, room, room))
                yield trial
                if _abstract(trial.after.state) not in seen:
                    seen.add(_abstract(trial.after.state))
                    open_ends.append(trial.after)


def _none(_: str) -> bool:
    return False


def _abstract(state: State) -> object:
    """What of a state decides what can become of it: not how often an operator has had a step asked for again."""
    legs = _legs(state)
    under_way = tuple((type(leg), leg.step, min(leg.attempt - leg.first, _ATTEMPTS), leg.attempt > 0) for leg in legs)
    return type(state), under_way, getattr(state, "left", ()), getattr(state, "deadline_ms", None)


def _legs(state: State) -> tuple[Leg, ...]:
    return state.legs if isinstance(state, Running | Compensating) else ()


def _end(trial: Trial) -> str:
    verdict = trial.verdict
    if isinstance(verdict, Decision):
        if trial.after.state != trial.before.state:
            return place_of(trial.after.state)
        return "ignored" if verdict.events[0]["type"] == "saga.reply.ignored" else "refused"
    if isinstance(verdict, Forgotten):
        return FORGOTTEN
    return "dead letter" if isinstance(verdict, Unacceptable) else "nothing"


def _hops(trial: Trial) -> Iterator[Hop]:
    """A saga that turns back gives up on what it did: the same step then begins to be undone."""
    before, after = (
        {(type(progress.state), leg.step): leg for leg in _legs(progress.state)}
        for progress in (trial.before, trial.after)
    )
    for effect in before.keys() | after.keys():
        start, end = before.get(effect), after.get(effect)
        if start != end:
            yield Hop(_spot(start), _spot(end), type(trial.given))


def _spot(leg: Leg | None) -> str:
    return _OUTSIDE if leg is None else type(leg).__name__


def _inputs(saga: Saga, state: State) -> Iterator[Input]:
    """All that a saga can be told in a state; of times, rooms, replies and steps those that it waits for, if any."""
    order: Order = {"order_id": _ID, "customer_id": "", "total": {"currency": "EUR", "minor": 0}, "lines": []}
    yield from (Place("", order, digest) for digest in ("one", "other"))
    yield Cancel("", "")
    yield from (operation("", "", "") for operation in (Retry, Skip, Compensate))
    yield from (operation("", "", "", leg.step) for leg in stuck(state) for operation in (Retry, Skip))
    due, last, idle = due_ms(state), saga.steps[-1].name, stuck(state) or not _legs(state)
    if due is not None or idle:
        yield TimerDue(due or 0)
    yield from (RoomFor(leg.step) for leg in _legs(state) if isinstance(leg, Waiting))
    if idle:
        yield RoomFor(last)
    asked = [(leg.step, leg.attempt) for leg in _legs(state) if leg.attempt] if _legs(state) else [(last, 1)]
    for name, attempt in asked:
        yield from _replies(saga.step(name), attempt, forward=isinstance(state, Running))


def _replies(step: Step, attempt: int, *, forward: bool) -> Iterator[Input]:
    do, undo = (command_id(_ID, step.name, direction, attempt) for direction in ("do", "undo"))
    yield Succeeded("", step.succeeded, step.name, do, "")
    if step.refused is not None:
        yield Refused("", step.refused, step.name, do, "")
    if step.undone is not None:
        yield Undone("", step.undone, step.name, undo)
    asked = do if forward else undo
    yield from (Failed("", step.failed, step.name, asked, "", retryable) for retryable in (True, False))


def _drawn(arrows: dict[tuple[str, str], list[str]]) -> str:
    lines = [f"    {start} --> {end}: {', '.join(words)}" for (start, end), words in arrows.items()]
    return "\n".join(["stateDiagram-v2", *lines])


def _fenced(drawing: str) -> str:
    return f"```mermaid\n{drawing}\n```"
