"""The states of a saga as a diagram and a table for readers, drawn from what decide does: nobody keeps them by hand."""

from collections.abc import Iterator
from typing import NamedTuple

from app.saga.decide import decide
from app.saga.definition import Saga, with_policy
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
    Skip,
    Succeeded,
    TimerDue,
    Undone,
)
from app.saga.state import FINAL, STATES, UNKNOWN, NotStarted, Pausing, Progress, Running, State, due_ms
from app.saga.verdict import Decision, Unacceptable

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
}
"""How readers are told of an input, in the order in which they are told."""

_ENDS = (*(state.__name__ for state in STATES), "ignored", "refused", "nothing", "dead letter")
_ID = "o"
_ATTEMPTS = 2
_LEGEND = """\
Replies (succeeded, refused, undone, failed) answer what was asked last, and `time` is the one that the state waits for.
A reply to an earlier attempt counts as well, unless it is a passing failure; any other reply is ignored, and any other
time comes to nothing. Where an input leads to several states, the steps and attempts that are left decide, and whether
a failure is for good. What is ignored or refused is recorded and changes nothing else. Nothing leaves no record: the
same order again. A dead letter is another order with the same id, or speaks of one that nobody placed."""


class Move(NamedTuple):
    """What an input comes to in a state: the name of the state that it leads to, or a word for what becomes of it."""

    state: type[State]
    given: type[Input]
    end: str


def document(saga: Saga) -> str:
    """The diagram and the table as Markdown."""
    found = moves(saga)
    return f"```mermaid\n{diagram(found)}\n```\n\n{table(found)}\n\n{_LEGEND}\n"


def moves(saga: Saga) -> list[Move]:
    """What such a saga can do, found by doing all of it with few attempts for each effect; every kind of move once."""
    brief, found, seen, open_ends = with_policy(saga, attempts=_ATTEMPTS), set[Move](), set[object](), [UNKNOWN]
    while open_ends:
        progress = open_ends.pop()
        for given in _inputs(brief, progress.state):
            after, end = _told(brief, progress, given)
            found.add(Move(type(progress.state), type(given), end))
            if _place(after.state) not in seen:
                seen.add(_place(after.state))
                open_ends.append(after)
    inputs = tuple(WORDS)
    return sorted(found, key=lambda move: (STATES.index(move.state), inputs.index(move.given), _ENDS.index(move.end)))


def diagram(found: list[Move]) -> str:
    """A Mermaid state diagram of the moves that lead to a state."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for move in found:
        if move.end in (state.__name__ for state in STATES):
            start = "[*]" if move.state is NotStarted else move.state.__name__
            arrows.setdefault((start, move.end), []).append(WORDS[move.given])
    lines = [f"    {start} --> {end}: {', '.join(words)}" for (start, end), words in arrows.items()]
    return "\n".join(["stateDiagram-v2", *lines, *(f"    {state.__name__} --> [*]" for state in FINAL)])


def table(found: list[Move]) -> str:
    """A Markdown table: a row for each input, a column for each state, and what the one comes to in the other."""
    cells: dict[tuple[type[State], type[Input]], list[str]] = {}
    for state, given, end in found:
        cells.setdefault((state, given), []).append(end)
    head = ["| told |", *(f" {state.__name__} |" for state in STATES)]
    rows = [
        f"| **{WORDS[given]}** |" + "".join(f" {', '.join(cells.get((state, given), '-'))} |" for state in STATES)
        for given in WORDS
    ]
    return "\n".join(["".join(head), "|---|" + "---|" * len(STATES), *rows])


def _told(saga: Saga, progress: Progress, given: Input) -> tuple[Progress, str]:
    verdict = decide(saga, _ID, progress, given, 0)
    if not isinstance(verdict, Decision):
        return progress, "dead letter" if isinstance(verdict, Unacceptable) else "nothing"
    if verdict.progress.state != progress.state:
        return verdict.progress, type(verdict.progress.state).__name__
    return verdict.progress, "ignored" if verdict.events[0]["type"] == "saga.reply.ignored" else "refused"


def _place(state: State) -> object:
    """What of a state decides what can become of it: not how often an operator has had an undo sent again."""
    tries = getattr(state, "attempt", 0) - getattr(state, "first_attempt", 1)
    return type(state), getattr(state, "step", ""), min(tries, _ATTEMPTS) if due_ms(state) is not None else 0


def _inputs(saga: Saga, state: State) -> Iterator[Input]:
    """Everything that a saga can be told in a state, replies to what it asked last."""
    order: Order = {"order_id": _ID, "customer_id": "", "total": {"currency": "EUR", "minor": 0}, "lines": []}
    yield from (Place("", order, digest) for digest in ("one", "other"))
    yield Cancel("", "")
    yield from (operation("", "", "") for operation in (Retry, Skip, Compensate))
    yield TimerDue(due_ms(state) or 0)
    step, attempt = saga.step(getattr(state, "step", saga.steps[-1].name)), getattr(state, "attempt", 1)
    do, undo = (command_id(_ID, step.name, direction, attempt) for direction in ("do", "undo"))
    asked = do if isinstance(state, Running | Pausing) else undo
    yield Succeeded("", step.succeeded, step.name, do, "")
    yield Refused("", step.refused, step.name, do, "")
    yield Undone("", step.undone, step.name, undo)
    yield from (Failed("", step.failed, step.name, asked, "", retryable) for retryable in (True, False))
