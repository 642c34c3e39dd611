"""Bugs that the orchestrator might have, each put into it for a while, and the laws by which it is found out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

from app.engine import horizon
from app.engine.batch import Batch
from app.engine.census import Census
from app.engine.gate import Gate
from app.engine.horizon import Horizon
from app.engine.inbox import Inbox
from app.engine.index import Index
from app.engine.store import Changes, PartitionStore
from app.engine.timers import Timers, bucket
from app.engine.turn import Turns
from app.saga import evolve, standing, turn
from app.saga.decide import TABLE
from app.saga.messages import Succeeded
from app.saga.state import Compensating, Completed, Running

Bug = Callable[[], Any]
Bugs = dict[str, tuple[Bug, str]]

_EARLY_MS = 5_000
_save, _restore, _changes, _set = (
    PartitionStore.save,
    PartitionStore.restore,
    PartitionStore.changes,
    PartitionStore.set,
)
_take, _send, _count, _change, _next = Timers.take, Batch.send, Census.change, Index.change, Index.next_in_queue
_inbox, _passed, _turns = Inbox.take, Index._passed, Turns.take


def forgets_its_index(store: Any, changes: Changes, offset: int) -> None:
    """Due times and tickets are not written with the sagas."""
    _save(store, Changes(changes.documents, replace(changes.index, puts=[])), offset)


def restores_nothing(store: Any, _: Any, offset: int) -> None:
    """What was committed but not saved is taken for saved."""
    _restore(store, [], offset)


def loses_a_document(store: Any) -> Changes:
    """What was set last in a batch is neither saved nor in the changelog."""
    found = _changes(store)
    return Changes(found.documents[:-1] if len(found.documents) > 1 else found.documents, found.index)


def forgets_at_once(store: Any, key: bytes, progress: Any) -> None:
    """Nobody remembers an order that was completed."""
    _set(store, key, None if progress is not None and isinstance(progress.state, Completed) else progress)


def fires_early(timers: Any, until_ms: int) -> Any:
    """Timers that are due soon are seen to with those that are due."""
    return _take(timers, until_ms + _EARLY_MS if until_ms else 0)


def overlooks_moves(index: Any, key: bytes, old: Any, new: Any) -> None:
    """Whoever waits for an earlier time than before, but not for a much earlier one, is found too late."""
    _change(index, key, old, new)
    if old[0] is not None and new[0] is not None and new[0] < old[0] and bucket(new[0]) == bucket(old[0]):
        index._puts[:] = [put for put in index._puts if not (put.startswith(b"\x00due") and put.endswith(key))]


def counts_twice(census: Any, old: Any, new: Any) -> None:
    """Whoever begins to wait for nobody is counted once more."""
    _count(census, old, new)
    if not old:
        _count(census, old, new)


def deletes_too_much(index: Any) -> int:
    """Due times of the next ten minutes are over as well."""
    start = _passed(index)
    return start + 600_000 if start else 0


def reads_twice(inbox: Any, *given: Any) -> Any:
    """The last record of a batch counts twice."""
    taken = _inbox(inbox, *given)
    return {number: [*messages, messages[-1]] for number, messages in taken.items()}


def loses_a_ticket(index: Any, key: bytes, old: Any, new: Any) -> None:
    """Some of those that wait get no place in the line."""
    _change(index, key, old, new)
    if key.endswith(b"7"):
        index._puts[:] = [put for put in index._puts if not (put.startswith(b"\x00queue") and put.endswith(key))]


def last_come_first(index: Any, step: str) -> Any:
    """The line is served from its end."""
    first = _next(index, step)
    if first is None or not index._next[step]:
        return first
    ticket = index._deletes.pop()
    index._next[step].appendleft((ticket, first))
    ticket, last = index._next[step].pop()
    index._deletes.append(ticket)
    return last


def swallows_dead_letters(turns: Any, *given: Any) -> Any:
    """What can't be read is passed over without a word."""
    return [out for out in _turns(turns, *given) if out.topic != "saga.dead-letters"]


def skips_undos(_: Any, state: Any, step: str) -> Compensating:
    """After one undo it goes no further back."""
    return Compensating(state.facts, state.why, tuple(leg for leg in state.legs if leg.step != step), ())


@contextmanager
def _losing_outputs() -> Iterator[None]:
    """Some command is not sent."""
    numbers = count(1)

    def send(batch: Any, out: Any) -> None:
        if not out.topic.endswith(".commands") or next(numbers) % 40:
            _send(batch, out)

    with patch.object(Batch, "send", send):
        yield


@contextmanager
def _ignoring_answers() -> Iterator[None]:
    """A late success is ignored, though nobody answered before."""
    succeed = TABLE[Running][Succeeded]

    def late(at: Any, reply: Any) -> Any:
        return standing.ignore(at, reply) if reply.command.endswith(":2") else succeed(at, reply)

    with patch.dict(TABLE[Running], {Succeeded: late}):
        yield


@contextmanager
def _numbering_badly() -> Iterator[None]:
    """A decision of which the number was used before."""
    from app.saga import decide

    def number(seq: int, state: Any) -> Any:
        from app.saga.state import Progress

        return Progress(seq - (seq > 3), state)

    with patch.object(decide, "Progress", number):
        yield


def _instead(owner: Any, name: str, bug: Any) -> Bug:
    return lambda: patch.object(owner, name, bug)


BUGS: Bugs = {
    "the store forgets to save its index": (_instead(PartitionStore, "save", forgets_its_index), "engine"),
    "a crash loses a committed batch": (_instead(PartitionStore, "restore", restores_nothing), "store"),
    "a document is missing in the changelog": (_instead(PartitionStore, "changes", loses_a_document), "changelog"),
    "an order is forgotten too early": (_instead(PartitionStore, "set", forgets_at_once), "forgotten"),
    "a timer fires early": (_instead(Timers, "take", fires_early), "early"),
    "a time-out is seen to before what came before it": (
        _instead(Horizon, "until", lambda *_: 1 << 60),
        "overtaken",
    ),
    "a timer fires late": (_instead(horizon, "_PAUSE_MS", 60_000), "late"),
    "a due time that came nearer is overlooked": (_instead(Index, "change", overlooks_moves), "due index"),
    "due times are deleted before they are over": (_instead(Index, "_passed", deletes_too_much), "due index"),
    "the census counts twice": (_instead(Census, "change", counts_twice), "census"),
    "a record counts twice": (_instead(Inbox, "take", reads_twice), "inputs"),
    "the gate ignores its limit": (_instead(Gate, "has_room", lambda *_: True), "limit"),
    "a ticket is lost": (_instead(Index, "change", loses_a_ticket), "queue"),
    "the last who came is let in first": (_instead(Index, "next_in_queue", last_come_first), "order"),
    "an undo is skipped": (_instead(evolve, "_gone", skips_undos), "conservation"),
    "dead letters are swallowed": (_instead(Turns, "take", swallows_dead_letters), "inputs"),
    "a command is not sent": (_losing_outputs, "commands"),
    "an answer is ignored": (_ignoring_answers, "first answer"),
    "a number is used twice": (_numbering_badly, "seq"),
    "nobody is told of the time": (_instead(Timers, "take", lambda *_: None), "ends"),
    "a step that can't be asked for ends the pod": (_instead(turn.Turn, "go_on", lambda _: None), "engine"),
}
