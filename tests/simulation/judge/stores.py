"""A pod's stores: the documents are those of the changelog, and the index is complete."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any

from app.engine.state.index import _queue_key
from app.engine.state.store import PartitionStore
from app.saga.state import BackingOff, Compensating, InFlight, NotStarted, Progress, Queued, Running, Stuck, due_ms
from app.wire.state_codec import decode
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import PartitionLog
from tests.simulation.plan import CHANGELOG_ID, Plan

_LAST_TICKET = (1 << 64) - 1
_FIRST_KEY, _END = b"\x01", b"\xff"
_ALL = 10**9
_DUE, _DUE_END = b"\x00due", b"\x00duf"
_PAST_ENTRIES_MS = 3 * 65_536  # past index entries stay for some buckets

Tickets = dict[str, list[bytes]]


def tickets_by_step(store: PartitionStore, steps: Iterable[str]) -> Tickets:
    """The keys of each step's tickets, in order."""
    found: Tickets = {}
    for step in steps:
        start = _queue_key(step, 0, b"")
        tickets = store._scan(start, _queue_key(step, _LAST_TICKET, b""))
        found[step] = [ticket[len(start) :] for ticket in tickets]
    return found


def flaws(store: PartitionStore, expected: dict[bytes, bytes], steps: Iterable[str]) -> Iterator[Violation]:
    """What is wrong with a closed store that is opened for the check: `expected` has its documents by key."""
    found = {key: store._read(key) or b"" for key in store._scan(_FIRST_KEY, _END)}
    yield from _check_documents(found, expected)
    sagas = {key: decode(value) for key, value in found.items()}
    yield from _check_counts(store, sagas)
    yield from _check_queues(tickets_by_step(store, steps), sagas)
    yield from _check_due_times(store, sagas)


def check_store(folder: Path, log: PartitionLog, plan: Plan, *, at_end: bool) -> Iterator[Violation]:
    """The flaws of a closed store; `log` is its changelog. At the end it must have the whole changelog."""
    store = PartitionStore(folder, CHANGELOG_ID, 10, plan.step_limit)
    try:
        offset = len(log.records) if at_end else store.offset
        expected = _documents_up_to(log, offset)
        if at_end:
            yield from _check_bounds(store, expected.keys(), log, plan)
        yield from flaws(store, expected, [step.name for step in plan.versions.steps])
    finally:
        store.close()


def _documents_up_to(log: PartitionLog, offset: int) -> dict[bytes, bytes]:
    """The documents in the changelog before an offset."""
    found: dict[bytes, bytes] = {}
    for message in log.records[:offset]:
        if message is not None:
            key, value = message.key() or b"", message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
    return found


def _check_documents(found: dict[bytes, bytes], expected: dict[bytes, bytes]) -> Iterator[Violation]:
    if found != expected:
        for key in [*expected, *(key for key in found if key not in expected)]:
            stored, wanted = found.get(key), expected.get(key)
            if stored != wanted:
                text = f"on disk {_abbreviated(stored)}, in the changelog {_abbreviated(wanted)}"
                yield Violation("store", key.decode(), text)


def _check_counts(store: PartitionStore, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    """Counts the sagas independently of the product's code."""
    by_step: dict[str, Counter[str]] = {"asked": Counter(), "waiting": Counter()}
    live, stuck, ended = Counter[str](), 0, 0
    for progress in sagas.values():
        state = progress.state
        if not isinstance(state, Running | Compensating):
            ended += not isinstance(state, NotStarted)
            continue
        live[state.data.definition] += 1
        stuck += any(isinstance(active, Stuck) for active in state.active_steps)
        for active in state.active_steps:
            if not isinstance(active, Stuck):
                by_step["waiting" if isinstance(active, Queued) else "asked"][active.step] += 1
    expected: dict[str, Any] = {**by_step, "live": live, "stuck": stuck, "ended": ended}
    found = store.index.counts.document()
    for name, count in expected.items():
        if found[name] != count:
            yield Violation("counts", None, f"{name}: the store has {found[name]}, there are {count}")


def _check_queues(tickets: Tickets, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    holders = {step: frozenset(keys) for step, keys in tickets.items()}
    for key, progress in sagas.items():
        for active in getattr(progress.state, "active_steps", ()):
            if isinstance(active, Queued) and key not in holders[active.step]:
                yield Violation("queue", key.decode(), f"it is queued for {active.step} without a ticket")


def _check_due_times(store: PartitionStore, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    first: dict[bytes, int] = {}
    for entry in store._scan(_DUE, _DUE_END):
        first.setdefault(entry[12:], int.from_bytes(entry[4:12], "big"))
    expected = {key: due for key, progress in sagas.items() if (due := due_ms(progress.state)) is not None}
    last_ms = max(expected.values(), default=0)
    while store.due_times.until_ms <= last_ms:
        store.look_ahead(last_ms)
    found = {key: due for due, key in store.due(last_ms, _ALL)}
    for key, due in expected.items():
        if first.get(key, due) > due:
            late_ms = first[key] - due
            yield Violation("due index", key.decode(), f"it is due at {due}, its entry is {late_ms} ms later")
        if found.get(key) != due:
            yield Violation("due index", key.decode(), f"it is due at {due}, the index has {found.get(key)}")
    for key in found:
        if key not in expected:
            yield Violation("due index", key.decode(), "it has no timer")


def _check_bounds(store: PartitionStore, sagas: Set[bytes], log: PartitionLog, plan: Plan) -> Iterator[Violation]:
    """No old entries are left of sagas that have expired."""
    if plan.pod_faults.clock_jump:
        return
    last_ms = max((message.at_ms for message in log.read()), default=0)
    old_ms = last_ms - _PAST_ENTRIES_MS - 2 * plan.pod_faults.skew_ms
    old = [key for key in store._scan(_DUE, _DUE_END) if int.from_bytes(key[4:12], "big") < old_ms]
    leftover = [key for key in old if key[12:] not in sagas]
    if leftover:
        yield Violation("bounded", leftover[0][12:].decode(), f"{len(leftover)} due times of expired sagas are left")


def in_flight_steps(progress: Progress | None) -> list[str]:
    """The steps with a command in flight or in backoff."""
    state = progress.state if progress is not None else None
    if not isinstance(state, Running | Compensating):
        return []
    return [active.step for active in state.active_steps if isinstance(active, InFlight | BackingOff)]


def queued_steps(progress: Progress | None) -> list[str]:
    """The queued steps."""
    state = progress.state if progress is not None else None
    if not isinstance(state, Running | Compensating):
        return []
    return [active.step for active in state.active_steps if isinstance(active, Queued)]


def _abbreviated(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode()[:60]
