"""The fuzz target: processes, judges and measures one record. Raises for a broken rule."""

import tracemalloc
from contextlib import ExitStack
from pathlib import Path
from time import thread_time
from typing import Self
from zlib import crc32

from app.engine.processor import SagaProcessor
from app.saga.definition import Saga
from app.wire.envelope import header_bytes
from tests.fuzz.codec import FuzzInput, decode, encode
from tests.fuzz.harness import UNKNOWN_ORDER, Harness
from tests.fuzz.judge import Judge
from tests.fuzz.sagas import record
from topologies.order import ORDER
from topologies.shipped_order import SHIPPED_ORDER

SAGAS: tuple[Saga, ...] = (ORDER, SHIPPED_ORDER)
MOST_SECONDS = 1.0
MOST_BYTES = 16 << 20  # besides twice the record itself
_EVERY_NTH = 5  # seeds: fewer valid inputs leave more time for mutated ones
_TOKENS = (
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
    """Harnesses and judges of all sagas. Memory is traced while it is open."""

    def __init__(self, folder: Path, kind: type[SagaProcessor] = SagaProcessor) -> None:
        self._resources = ExitStack()
        self.harnesses = [self._resources.enter_context(Harness(saga, folder / saga.name, kind)) for saga in SAGAS]
        self._judges = [Judge(saga) for saga in SAGAS]

    def __enter__(self) -> Self:
        tracemalloc.start()
        return self

    def __exit__(self, *_: object) -> None:
        tracemalloc.stop()
        self._resources.close()

    def run_input(self, data: bytes) -> None:
        """Runs one input. Raises AssertionError for a broken rule, too much memory, or too much time."""
        fuzz_input = decode(data)
        number, one = fuzz_input.saga % len(SAGAS), fuzz_input.record
        harness, judge = self.harnesses[number], self._judges[number]
        topic = harness.inputs[fuzz_input.topic % len(harness.inputs)]
        tracemalloc.reset_peak()
        before, start = tracemalloc.get_traced_memory()[0], thread_time()
        result = harness.process(topic, one)
        seconds, peak = thread_time() - start, tracemalloc.get_traced_memory()[1] - before
        # Schema validation is slow, so only some inputs get it; for the same bytes, always or never.
        judge.judge(result, by_schema=crc32(data) % 16 == 0)
        harness.reset()
        size = len(one.key or b"") + len(one.value or b"") + header_bytes(one.headers or ())
        if peak > 2 * size + MOST_BYTES:
            raise AssertionError(f"a record of {size} bytes took {peak} bytes of memory")
        if seconds > MOST_SECONDS:
            raise AssertionError(f"a record of {size} bytes took {seconds:.2f} s")

    def seeds(self) -> list[bytes]:
        """The initial corpus: valid messages for sagas in every state."""
        inputs = [fuzz_input for number in range(len(SAGAS)) for fuzz_input in self._valid_inputs(number)]
        return [encode(fuzz_input) for fuzz_input in inputs[::_EVERY_NTH]]

    def tokens(self) -> list[str]:
        """The dictionary: names and values of messages, to be inserted elsewhere."""
        found = {*_TOKENS}
        for number, _, valid in (fuzz_input for saga in range(len(SAGAS)) for fuzz_input in self._valid_inputs(saga)):
            found |= {name for name, _ in valid.headers or ()} | {*self.harnesses[number].inputs}
            found |= {text.decode() for _, text in valid.headers or () if text is not None}
        return sorted(found)

    def _valid_inputs(self, number: int) -> list[FuzzInput]:
        harness = self.harnesses[number]
        inputs: list[FuzzInput] = []
        for order_id in (UNKNOWN_ORDER, *harness.sagas):
            messages = harness.messages_for(order_id)
            inputs += [FuzzInput(number, harness.inputs.index(each.topic), record(order_id, each)) for each in messages]
        return inputs
