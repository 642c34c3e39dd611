"""The loop: reads what is there, decides it in batches, and commits each batch while the next one is decided."""

import gc
import time
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Any, cast

from confluent_kafka import TopicPartition
from quixstreams.context import set_message_context
from quixstreams.kafka import BaseConsumer
from quixstreams.models.messagecontext import MessageContext

from app.engine.batch import Batch, BatchContext, Clock
from app.engine.duties import Duties, Keeper
from app.engine.errors import Ended
from app.engine.horizon import Horizon
from app.engine.inbox import Inbox, Read
from app.engine.lanes import Lane
from app.engine.offsets import Place
from app.engine.ownership import Ownership

_IDLE_SECONDS = 1.0
_BUSY_SECONDS = 0.05
_LOOK_SECONDS = 0.002
_JOINING_SECONDS = 0.05  # a poll goes on for its whole time after it has served an assignment
_QUIET_SECONDS = 0.25  # after so long without a record, positions may catch up with what is no record
_SHARES = 4  # a batch takes one of so many of the partitions: see Loop._begin
_MOST_SECONDS = 1.0  # to be decided in one batch: brokers end a transaction that takes too long
_TIDY_SECONDS = 1.0
_TIDY_ALL_SECONDS = 3600.0
_LEAVE_SECONDS = 5.0  # for commits under way, once this process was told to end

Executor = Callable[[Any, Any, int, Any], None]


class Loop:
    """Turns of: read, then begin a batch on an idle lane with a share of the partitions that no other lane holds."""

    def __init__(
        self,
        consumer: BaseConsumer,
        ownership: Ownership,
        lanes: list[Lane],
        context: BatchContext,
        keeper: Keeper | None,
        clock: Clock,
        horizon: Horizon,
        most: int,
    ) -> None:
        self._consumer = consumer
        self._own = ownership
        self._inbox = Inbox(consumer, ownership, most)
        self._lanes = lanes  # the one that was used longest ago first
        self._at_once = max(1, len(lanes) // 2)
        self._context = context
        self._clock = clock
        self._duties = Duties(ownership, horizon, keeper)
        self._held: dict[Lane, frozenset[int]] = {}
        self._active = self._tidied = self._tidied_all = time.monotonic()

    def turn(self, executors: Mapping[str, Executor]) -> None:
        """One turn. Raises when this process must end; what it did not commit is then read again."""
        self._release()
        if self._held and (self._inbox.full or self._is_busy()):
            next(iter(self._held)).rest(_BUSY_SECONDS)
            self._release()
        if not self._inbox.full:
            self._inbox.read(self._patience())
        if self._own.restoring:
            self._own.go_on_restoring()
            return
        self._release()
        self._watch()
        if self._has_lane():
            self._begin(executors)
        if not self._held:
            self._tidy(time.monotonic())

    def finish(self) -> None:
        """Waits for all commits; what was read beyond them is dropped, and read again by the next owner."""
        for lane in self._held:
            lane.wait()
        self._held.clear()
        self._inbox.clear()
        self._duties.clear()

    def leave(self) -> None:
        """As `finish`, but without much patience: whoever told this process to end kills it otherwise. Raises Ended."""
        end = time.monotonic() + _LEAVE_SECONDS
        for lane in self._held:
            lane.rest(max(0.0, end - time.monotonic()))
            if not lane.idle:
                raise Ended(
                    f"told to end, but a commit was not answered within {_LEAVE_SECONDS:.0f} s: "
                    "the next start finds out what came of it"
                )
        self.finish()

    def _release(self) -> None:
        """Takes note of commits that are done."""
        for lane in [lane for lane in self._held if lane.idle]:
            del self._held[lane]

    def _is_busy(self) -> bool:
        """Whether nothing that came now could be decided: to look for it all the while costs brokers many fetches."""
        return not self._has_lane() or self._busy() == self._own.stores.keys()

    def _has_lane(self) -> bool:
        """Half of the lanes rest: until the markers of a transaction are written, the broker has the next one of the
        same lane wait, and the client asks again only a while later."""
        return len(self._held) < self._at_once

    def _tidy(self, now: float) -> None:
        """Has the collector, which never runs by itself, look for what refers to itself: of that there is next to
        nothing. What is new is soon looked through; all the sagas in memory take a tenth of a second."""
        if now - self._tidied_all > _TIDY_ALL_SECONDS:
            gc.collect()
            self._tidied = self._tidied_all = now
        elif now - self._tidied > _TIDY_SECONDS:
            gc.collect(0)
            self._tidied = now

    def _busy(self) -> frozenset[int]:
        return frozenset().union(*self._held.values())

    def _patience(self) -> float:
        """Seconds to wait for a record: fewer while something else is to be done."""
        if self._own.restoring:
            return 0
        if not self._own.stores:
            return _JOINING_SECONDS
        if self._held:
            return _LOOK_SECONDS  # even if there is something: with what else comes, it makes a better batch
        if self._inbox.waiting:
            return 0
        due = self._duties.next_ms()
        most = _QUIET_SECONDS if self._inbox.ahead(self._own.stores) else _IDLE_SECONDS
        return most if due is None else min(max((due - self._clock()) / 1000, _LOOK_SECONDS), most)

    def _begin(self, executors: Mapping[str, Executor]) -> None:
        """Decides what is there in some partitions, on a lane; a partition is on no two lanes at a time.

        Each partition of a transaction is some requests, one after the other: while those of a few are answered, the
        next few are decided.
        """
        busy, lane = self._busy(), next(lane for lane in self._lanes if lane not in self._held)
        # All of it is as of the generation in which it began: in the next one, it would be another owner's work.
        now, positions, group = self._clock(), self._own.positions, self._own.group
        batch = Batch(lane, self._own.stores, self._context.full_name, self._context.changelog)
        self._context.enter(batch, now)
        share = -(-len(self._own.stores) // _SHARES)
        taken, end = self._inbox.take(busy, share), time.monotonic() + _MOST_SECONDS
        changed: dict[Place, int] = {}
        for number in [*taken, *(self._own.stores.keys() - taken.keys() - busy)]:
            batch.partition = number
            read = self._decide(number, taken.get(number, []), executors, end)
            positions.update(read)
            if self._duties.see_to(batch, self._inbox.ahead((number,)), now) and not read:
                read = self._any_place(number)
            if read:
                batch.settle()
                changed.update(read)
        changed.update(self._catch_up(busy, _numbers(changed)))
        if changed:
            positions.update(changed)
            self._held[lane] = _numbers(changed)
            batch.commit(_offsets(changed, str(self._own.mark)), group)
            self._lanes.remove(lane)
            self._lanes.append(lane)

    def _watch(self) -> None:
        """A store that nothing happens to is as whole as any other."""
        busy = self._busy()
        for number, store in self._own.stores.items():
            if number not in busy:
                store.watch()

    def _decide(
        self, number: int, records: list[Read], executors: Mapping[str, Executor], end: float
    ) -> dict[Place, int]:
        """Decides a partition's records for which there is time; returns the positions behind them."""
        read: dict[Place, int] = {}
        done = 0
        while done < len(records) and time.monotonic() < end:
            message, headers, _ = records[done]
            topic, offset = cast("str", message.topic()), cast("int", message.offset())
            set_message_context(MessageContext(topic, number, offset, 0))
            executors[topic](message.value(), message.key(), message.timestamp()[1], headers)
            read[topic, number] = offset + 1
            done += 1
        self._inbox.put_back(number, records[done:])
        return read

    def _any_place(self, number: int) -> dict[Place, int]:
        """Of a partition where no record was decided, some input: its position makes the broker check who owns it."""
        return next({place: position} for place, position in self._own.positions.items() if place[1] == number)

    def _catch_up(self, busy: Set[int], active: Set[int]) -> dict[Place, int]:
        """What is ahead, so that the lag is seen to be 0: of what is committed anyway, and of everything once it is
        quiet. In a transaction, as an offset that is committed outside of one can take the group back behind what
        another transaction committed."""
        if active:
            self._active = time.monotonic()
        quiet = time.monotonic() - self._active > _QUIET_SECONDS
        return self._inbox.ahead(self._own.stores.keys() - busy if quiet else active)


def _numbers(places: Iterable[Place]) -> frozenset[int]:
    return frozenset(number for _, number in places)


def _offsets(positions: Mapping[Place, int], mark: str) -> list[TopicPartition]:
    return [TopicPartition(topic, number, offset, mark) for (topic, number), offset in positions.items()]
