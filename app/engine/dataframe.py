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


class Deciding(StreamFunction):
    """A stateful step: it gets the state of the record's key, and each output that it gives goes on by itself."""

    expand = True

    def __init__(self, func: Any, context: BatchContext) -> None:
        super().__init__(func)
        self._context = context

    def get_executor(self, *child_executors: Any) -> Any:
        """The step, and what follows."""
        decide: Any = self.func
        context, go_on = self._context, self._resolve_branching(*child_executors)

        def decided(value: Any, key: bytes | None, timestamp: int, headers: Any) -> None:
            for out in decide(value, key, timestamp, headers, context.state(key)):
                go_on(out, key, timestamp, headers)

        return decided


class Sending(StreamFunction):
    """Puts an output into the batch in hand."""

    def __init__(self, context: BatchContext) -> None:
        super().__init__(lambda value: value)
        self._context = context

    def get_executor(self, *child_executors: Any) -> Any:
        """The sending, and what follows."""
        context, go_on = self._context, self._resolve_branching(*child_executors)

        def sent(out: Any, key: bytes | None, timestamp: int, headers: Any) -> None:
            context.send(out)
            go_on(out, key, timestamp, headers)

        return sent


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
        if not (expand and metadata):
            raise ValueError("a stateful step of this engine takes metadata, and gives a list")
        step = super().apply(func, expand=True, metadata=True)
        step.stream.func = Deciding(func, self._context)
        return step

    def set_headers(self, func: Any) -> StreamingDataFrame:  # noqa: ARG002
        """Leaves all as it is: an output of this engine has its headers with it."""
        return self

    def to_topic(self, topic: Topic | Callable[..., Topic], key: Any = None) -> StreamingDataFrame:  # noqa: ARG002
        """Sends what comes: an output of this engine has its topic and key with it."""
        self._add_update(lambda *_: None, metadata=True)
        self.stream.func = Sending(self._context)
        return self

    @property
    def _context(self) -> BatchContext:
        return cast("BatchContext", self._processing_context)
