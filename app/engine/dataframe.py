"""quixstreams' dataframe, as the engine runs it: the same topology, with less between a record and what it leads to."""

from collections.abc import Callable
from typing import Any, cast

from quixstreams.core.stream.functions import StreamFunction
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Topic

from app.engine.batch import BatchContext


class Through(StreamFunction):
    """Stands where streams begin or join: what the library has there would do nothing, four times for a record."""

    def __init__(self) -> None:
        super().__init__(lambda value: value)

    def get_executor(self, *child_executors: Any) -> Any:
        """What follows."""
        return self._resolve_branching(*child_executors)


class BatchDataFrame(StreamingDataFrame):
    """A dataframe whose state is that of the batch in hand, and whose outputs go straight into its transaction."""

    def concat(self, other: StreamingDataFrame) -> StreamingDataFrame:
        """Joins two of them."""
        joined = super().concat(other)
        joined.stream.func = Through()
        return joined

    def apply(self, func: Any, *, stateful: bool = False, expand: bool = False, metadata: bool = False) -> Any:
        """A stateful step gets the state of the record's key, besides the record and its metadata."""
        if not stateful:
            return super().apply(func, expand=expand, metadata=metadata)  # type: ignore[call-overload]
        if not metadata:
            raise ValueError("a stateful step of this engine takes metadata too")
        context = self._context

        def with_state(value: Any, key: bytes | None, timestamp: int, headers: Any) -> Any:
            return func(value, key, timestamp, headers, context.state(key))

        return self.__dataframe_clone__(stream=self.stream.add_apply(with_state, expand=expand, metadata=True))  # type: ignore[call-overload]

    def set_headers(self, func: Any) -> StreamingDataFrame:  # noqa: ARG002
        """Leaves all as it is: an output of this engine has its headers with it."""
        return self

    def to_topic(self, topic: Topic | Callable[..., Topic], key: Any = None) -> StreamingDataFrame:  # noqa: ARG002
        """Sends what comes: an output of this engine has its topic and key with it."""
        context = self._context

        def send(out: Any, _: Any, __: int, ___: Any) -> None:
            context.send(out)

        return cast("StreamingDataFrame", self._add_update(send, metadata=True))

    @property
    def _context(self) -> BatchContext:
        return cast("BatchContext", self._processing_context)
