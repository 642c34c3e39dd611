"""What is on a pod's disk, opened once more: the same as in the changelog, with an index that misses nobody."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from pathlib import Path
from typing import Any

from app.engine.index import _queue_key
from app.engine.store import PartitionStore
from app.saga.state import Asked, Compensating, NotStarted, Pausing, Progress, Running, Stuck, Waiting, due_ms
from app.wire.statedoc import decode
from tests.simulation.judge.violation import Violation
from tests.simulation.kafka import Log
from tests.simulation.plan import CHANGELOG_ID, Plan

_LAST_TICKET = (1 << 64) - 1
_FIRST_KEY, _END = b"\x01", b"\xff"
_ALL = 10**9
_DUE, _DUE_END = b"\x00due", b"\x00duf"
_KEPT_MS = 3 * 65_536  # entries of the index that are over stay for some buckets of its

Queues = dict[str, list[bytes]]


def queues(store: PartitionStore, steps: Iterable[str]) -> Queues:
    """Whose tickets there are for each step, first ones first."""
    found: Queues = {}
    for step in steps:
        start = _queue_key(step, 0, b"")
        tickets = store._scan(start, _queue_key(step, _LAST_TICKET, b""))
        found[step] = [ticket[len(start) :] for ticket in tickets]
    return found


def flaws(store: PartitionStore, expected: dict[bytes, bytes], steps: Iterable[str]) -> Iterator[Violation]:
    """What is wrong with a store that nobody uses: its documents must be these, and its index must miss nobody."""
    found = {key: store._read(key) or b"" for key in store._scan(_FIRST_KEY, _END)}
    yield from _same(found, expected)
    sagas = {key: decode(value) for key, value in found.items()}
    yield from _counted(store, sagas)
    yield from _queued(queues(store, steps), sagas)
    yield from _due(store, sagas)


def inspect(folder: Path, log: Log, plan: Plan, *, at_end: bool) -> Iterator[Violation]:
    """What is wrong with the store of a partition that nobody has open; `log` is its changelog."""
    store = PartitionStore(folder, CHANGELOG_ID, 10, plan.limit)
    try:
        offset = len(log.records) if at_end else store.offset
        expected = _documents(log, offset)
        if at_end:
            yield from _bounded(store, expected.keys(), log, plan)
        yield from flaws(store, expected, [step.name for step in plan.versions.steps])
    finally:
        store.close()


def _documents(log: Log, offset: int) -> dict[bytes, bytes]:
    """What the changelog holds up to an offset."""
    found: dict[bytes, bytes] = {}
    for message in log.records[:offset]:
        if message is not None:
            key, value = message.key() or b"", message.value()
            if value is None:
                found.pop(key, None)
            else:
                found[key] = value
    return found


def _same(found: dict[bytes, bytes], expected: dict[bytes, bytes]) -> Iterator[Violation]:
    if found != expected:
        for key in [*expected, *(key for key in found if key not in expected)]:
            there, due = found.get(key), expected.get(key)
            if there != due:
                yield Violation("store", key.decode(), f"on disk {_short(there)}, in the changelog {_short(due)}")


def _counted(store: PartitionStore, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    """Counted anew, by nothing that the product counts with."""
    by_step: dict[str, Counter[str]] = {"asked": Counter(), "waiting": Counter()}
    live, stuck, ended = Counter[str](), 0, 0
    for progress in sagas.values():
        state = progress.state
        if not isinstance(state, Running | Compensating):
            ended += not isinstance(state, NotStarted)
            continue
        live[state.facts.definition] += 1
        stuck += any(isinstance(leg, Stuck) for leg in state.legs)
        for leg in state.legs:
            if not isinstance(leg, Stuck):
                by_step["waiting" if isinstance(leg, Waiting) else "asked"][leg.step] += 1
    expected: dict[str, Any] = {**by_step, "live": live, "stuck": stuck, "ended": ended}
    found = store.index.census.document()
    for name, count in expected.items():
        if found[name] != count:
            yield Violation("census", None, f"{name}: it says {found[name]}, there are {count}")


def _queued(tickets: Queues, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    holders = {step: frozenset(keys) for step, keys in tickets.items()}
    for key, progress in sagas.items():
        for leg in getattr(progress.state, "legs", ()):
            if isinstance(leg, Waiting) and key not in holders[leg.step]:
                yield Violation("queue", key.decode(), f"it waits for {leg.step} without a ticket")


def _due(store: PartitionStore, sagas: dict[bytes, Progress]) -> Iterator[Violation]:
    first: dict[bytes, int] = {}
    for entry in store._scan(_DUE, _DUE_END):
        first.setdefault(entry[12:], int.from_bytes(entry[4:12], "big"))
    expected = {key: due for key, progress in sagas.items() if (due := due_ms(progress.state)) is not None}
    last_ms = max(expected.values(), default=0)
    while store.timers.until_ms <= last_ms:
        store.look_ahead(last_ms)
    found = {key: due for due, key in store.due(last_ms, _ALL)}
    for key, due in expected.items():
        if first.get(key, due) > due:
            yield Violation(
                "due index", key.decode(), f"it waits for {due}, and is looked at {first[key] - due} ms later"
            )
        if found.get(key) != due:
            yield Violation("due index", key.decode(), f"it waits for {due}, the index has {found.get(key)}")
    for key in found:
        if key not in expected:
            yield Violation("due index", key.decode(), "it waits for nothing")


def _bounded(store: PartitionStore, sagas: Set[bytes], log: Log, plan: Plan) -> Iterator[Violation]:
    """Nothing old is left of sagas that are gone."""
    if plan.hardship.jump:
        return
    last_ms = max((message.at_ms for message in log.read()), default=0)
    old_ms = last_ms - _KEPT_MS - 2 * plan.hardship.skew_ms
    old = [key for key in store._scan(_DUE, _DUE_END) if int.from_bytes(key[4:12], "big") < old_ms]
    left = [key for key in old if key[12:] not in sagas]
    if left:
        yield Violation("bounded", left[0][12:].decode(), f"{len(left)} due times of sagas that are forgotten are left")


def outstanding(progress: Progress | None) -> list[str]:
    """The steps whose participants are asked now; a pause before the next time counts."""
    state = progress.state if progress is not None else None
    if not isinstance(state, Running | Compensating):
        return []
    return [leg.step for leg in state.legs if isinstance(leg, Asked | Pausing)]


def waiting(progress: Progress | None) -> list[str]:
    """The steps that wait for room."""
    state = progress.state if progress is not None else None
    if not isinstance(state, Running | Compensating):
        return []
    return [leg.step for leg in state.legs if isinstance(leg, Waiting)]


def _short(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode()[:60]
