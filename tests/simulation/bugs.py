"""Bugs that can be inserted into the orchestrator for a while, each with the invariant that it violates."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

from app.engine.assignment import read_frontier
from app.engine.assignment.read_frontier import ReadFrontier
from app.engine.processor import SagaProcessor
from app.engine.runtime.batch import Batch
from app.engine.runtime.inbox import Inbox
from app.engine.state.admission import AdmissionControl
from app.engine.state.due_times import DueTimes, bucket
from app.engine.state.index import Index
from app.engine.state.saga_counts import SagaCounts
from app.engine.state.store import Changes, PartitionStore
from app.saga import evolve, transition
from app.saga.decide import TABLE
from app.saga.handlers import replies
from app.saga.messages import Succeeded
from app.saga.state import Compensating, Completed, Running

Bug = Callable[[], Any]
"""A context manager that inserts the bug into the orchestrator."""
Bugs = dict[str, tuple[Bug, str]]
"""By a sentence about the bug: the bug, and the invariant that it violates."""

_EARLY_MS = 5_000
_real_save, _real_restore = PartitionStore.save, PartitionStore.restore
_real_changes, _real_set = PartitionStore.take_changes, PartitionStore.set
_real_take, _real_inbox_take, _real_send = DueTimes.take, Inbox.take, Batch.send
_real_index_change, _real_next_in_queue, _real_passed = Index.change, Index.take_ticket, Index._passed
_real_count_change, _real_on_record = SagaCounts.change, SagaProcessor.on_record


def saves_no_index_entries(store: Any, changes: Changes, offset: int) -> None:
    """Due times and tickets are not saved with the sagas."""
    _real_save(store, Changes(changes.documents, replace(changes.index, puts=[])), offset)


def restores_nothing(store: Any, _: Any, offset: int) -> None:
    """A restore skips committed changes that were not saved."""
    _real_restore(store, [], offset)


def loses_a_document(store: Any) -> Changes:
    """The last change of a batch is neither saved nor in the changelog."""
    found = _real_changes(store)
    return Changes(found.documents[:-1] if len(found.documents) > 1 else found.documents, found.index)


def expires_at_once(store: Any, key: bytes, progress: Any) -> None:
    """A saga expires as soon as it is completed."""
    _real_set(store, key, None if progress is not None and isinstance(progress.state, Completed) else progress)


def fires_early(due_times: Any, until_ms: int) -> Any:
    """Timers that are due soon fire with those that are due."""
    return _real_take(due_times, until_ms + _EARLY_MS if until_ms else 0)


def loses_earlier_due_times(index: Any, key: bytes, old: Any, new: Any) -> None:
    """A due time that moves to be earlier within its bucket gets no entry."""
    _real_index_change(index, key, old, new)
    if old[0] is not None and new[0] is not None and new[0] < old[0] and bucket(new[0]) == bucket(old[0]):
        index._puts[:] = [put for put in index._puts if not (put.startswith(b"\x00due") and put.endswith(key))]


def counts_twice(counts: Any, old: Any, new: Any) -> None:
    """A saga that had no counters before is counted twice."""
    _real_count_change(counts, old, new)
    if not old:
        _real_count_change(counts, old, new)


def deletes_too_much(index: Any) -> int:
    """Due times of the next ten minutes are deleted as well."""
    start = _real_passed(index)
    return start + 600_000 if start else 0


def processes_a_record_twice(inbox: Any, *arguments: Any) -> Any:
    """The last record of a batch is processed twice."""
    taken = _real_inbox_take(inbox, *arguments)
    return {number: [*records, records[-1]] for number, records in taken.items()}


def loses_a_ticket(index: Any, key: bytes, old: Any, new: Any) -> None:
    """Some queued sagas get no ticket."""
    _real_index_change(index, key, old, new)
    if key.endswith(b"7"):
        index._puts[:] = [put for put in index._puts if not (put.startswith(b"\x00queue") and put.endswith(key))]


def admits_the_last_first(index: Any, step: str) -> Any:
    """A queue is served from its end."""
    first = _real_next_in_queue(index, step)
    if first is None or not index._loaded_tickets[step]:
        return first
    ticket = index._deletes.pop()
    index._loaded_tickets[step].appendleft((ticket, first))
    ticket, last = index._loaded_tickets[step].pop()
    index._deletes.append(ticket)
    return last


def drops_dead_letters(processor: Any, *arguments: Any) -> Any:
    """Invalid records are silently skipped."""
    return [out for out in _real_on_record(processor, *arguments) if out.topic != "saga.dead-letters"]


def skips_undos(_: Any, state: Any, step: str) -> Compensating:
    """After one undo, no further step is undone."""
    return Compensating(
        state.data, state.why, tuple(active for active in state.active_steps if active.step != step), ()
    )


@contextmanager
def _losing_commands() -> Iterator[None]:
    """Every fortieth command is not sent."""
    numbers = count(1)

    def send(batch: Any, out: Any) -> None:
        if not out.topic.endswith(".commands") or next(numbers) % 40:
            _real_send(batch, out)

    with patch.object(Batch, "send", send):
        yield


@contextmanager
def _ignoring_replies() -> Iterator[None]:
    """The reply to a second attempt is ignored, though it is the first reply."""
    succeed = TABLE[Running][Succeeded]

    def late(at: Any, reply: Any) -> Any:
        return replies.ignore_reply(at, reply) if reply.command.endswith(":2") else succeed(at, reply)

    with patch.dict(TABLE[Running], {Succeeded: late}):
        yield


@contextmanager
def _repeating_a_number() -> Iterator[None]:
    """From the fourth decision on, a saga uses its last number again."""
    from app.saga import decide

    def progress_with_old_number(seq: int, state: Any) -> Any:
        from app.saga.state import Progress

        return Progress(seq - (seq > 3), state)

    with patch.object(decide, "Progress", progress_with_old_number):
        yield


def _replacing(owner: Any, name: str, bug: Any) -> Bug:
    return lambda: patch.object(owner, name, bug)


BUGS: Bugs = {
    "the store forgets to save its index": (_replacing(PartitionStore, "save", saves_no_index_entries), "engine"),
    "a crash loses a committed batch": (_replacing(PartitionStore, "restore", restores_nothing), "store"),
    "a document is missing in the changelog": (
        _replacing(PartitionStore, "take_changes", loses_a_document),
        "changelog",
    ),
    "a saga expires too early": (_replacing(PartitionStore, "set", expires_at_once), "expiry"),
    "a timer fires early": (_replacing(DueTimes, "take", fires_early), "early"),
    "a timeout fires before earlier records were read": (
        _replacing(ReadFrontier, "read_up_to_ms", lambda *_: 1 << 60),
        "input before timer",
    ),
    "a timer fires late": (_replacing(read_frontier, "_PAUSE_MS", 60_000), "late"),
    "a due time that moved to be earlier is missed": (
        _replacing(Index, "change", loses_earlier_due_times),
        "due index",
    ),
    "due times are deleted too early": (_replacing(Index, "_passed", deletes_too_much), "due index"),
    "a saga is counted twice": (_replacing(SagaCounts, "change", counts_twice), "counts"),
    "a record is processed twice": (_replacing(Inbox, "take", processes_a_record_twice), "inputs"),
    "admission control ignores its limit": (_replacing(AdmissionControl, "try_acquire", lambda *_: True), "limit"),
    "a ticket is lost": (_replacing(Index, "change", loses_a_ticket), "queue"),
    "the last saga in a queue is admitted first": (
        _replacing(Index, "take_ticket", admits_the_last_first),
        "queue order",
    ),
    "an undo is skipped": (_replacing(evolve, "_step_undone", skips_undos), "conservation"),
    "dead letters are dropped": (_replacing(SagaProcessor, "on_record", drops_dead_letters), "inputs"),
    "a command is not sent": (_losing_commands, "commands"),
    "a reply is ignored": (_ignoring_replies, "first reply"),
    "a number is used twice": (_repeating_a_number, "seq"),
    "no timer fires": (_replacing(DueTimes, "take", lambda *_: None), "ends"),
    "a step that can't be requested ends the pod": (
        _replacing(transition.Transition, "advance", lambda _: None),
        "engine",
    ),
}
