"""One input of the fuzzer: a record is taken, judged, and measured. Raises for whatever may not be."""

import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from time import thread_time
from typing import Self
from zlib import crc32

from app.engine.turn import Turns
from app.saga.definition import Saga
from app.wire.envelope import header_bytes
from tests.fuzz.codec import Shot, decoded, encoded
from tests.fuzz.judge import Judge
from tests.fuzz.sagas import record
from tests.fuzz.world import NOBODY, World
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SAGAS: tuple[Saga, ...] = (ORDER, SHIPPED_ORDER)
MOST_SECONDS = 1.0
MOST_BYTES = 16 << 20  # beside twice the record itself
_SPARSELY = 5  # so that not all of the time goes into what is good
_WORDS = (
    "application/cloudevents+json",
    "content-type",
    "traceparent",
    "tracestate",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "\\ud800",
    "\\u0000",
    "1e400",
    "-0",
)


class Target:
    """Sagas of all kinds everywhere that they can be, and the judge of what a record does to them."""

    def __init__(self, folder: Path, kind: type[Turns] = Turns) -> None:
        self._open = ExitStack()
        self.worlds = [self._open.enter_context(World(saga, folder / saga.name, kind)) for saga in SAGAS]
        self._judges = [Judge(saga) for saga in SAGAS]

    def __enter__(self) -> Self:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()
        self._open.close()

    def shoot(self, data: bytes) -> None:
        """Takes the record that the bytes stand for."""
        shot = decoded(data)
        world, judge = self.worlds[shot.saga % len(SAGAS)], self._judges[shot.saga % len(SAGAS)]
        topic = world.inputs[shot.topic % len(world.inputs)]
        tracemalloc.reset_peak()
        before, begin = tracemalloc.get_traced_memory()[0], thread_time()
        taken = world.take(topic, shot.record)
        seconds, peak = thread_time() - begin, tracemalloc.get_traced_memory()[1] - before
        # A schema takes long to ask, so of most decisions it is not asked; of the same bytes always or never.
        judge.judge(taken, by_schema=crc32(data) % 16 == 0)
        world.reset()
        size = len(shot.record.key or b"") + len(shot.record.value or b"") + header_bytes(shot.record.headers or ())
        if peak > 2 * size + MOST_BYTES:
            raise AssertionError(f"a record of {size} bytes took {peak} bytes of memory")
        if seconds > MOST_SECONDS:
            raise AssertionError(f"a record of {size} bytes took {seconds:.2f} s")

    def seeds(self) -> list[bytes]:
        """Good messages, to begin with: all that a saga can be told where it is."""
        shots = [shot for number in range(len(SAGAS)) for shot in self._good(number)]
        return [encoded(shot) for shot in shots[::_SPARSELY]]

    def words(self) -> list[str]:
        """What stands in messages, to be put elsewhere."""
        found = {*_WORDS}
        for number, _, good in (shot for saga in range(len(SAGAS)) for shot in self._good(saga)):
            found |= {name for name, _ in good.headers or ()} | {*self.worlds[number].inputs}
            found |= {text.decode() for _, text in good.headers or () if text is not None}
        return sorted(found)

    def _good(self, number: int) -> list[Shot]:
        world = self.worlds[number]
        shots: list[Shot] = []
        for order_id in (NOBODY, *world.sagas):
            said = world.told(order_id)
            shots += [Shot(number, world.inputs.index(each.topic), record(order_id, each)) for each in said]
        return shots
