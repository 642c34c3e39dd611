"""A planted bug that the fuzzer must find."""

from app.engine.processor import KeyState, Record, SagaProcessor
from app.wire.invalid_record import InvalidRecord
from app.wire.writer import OutputRecord


class ProcessorWithBug(SagaProcessor):
    """Fails on a value that is too large, which no valid message comes close to."""

    def on_record(self, topic: str, record: Record, state: KeyState, at_ms: int) -> list[OutputRecord]:
        """The outputs of the record, or an exception."""
        try:
            self._reader.read(topic, record.key, record.value, record.headers)
        except InvalidRecord as bad:
            if bad.code == "too_large":
                raise ZeroDivisionError("planted") from bad
        return super().on_record(topic, record, state, at_ms)


def processor_kind(with_bug: bool) -> type[SagaProcessor]:  # noqa: FBT001 - a switch of the command line
    """The processor under test: the product's own, or one with a bug."""
    return ProcessorWithBug if with_bug else SagaProcessor
