"""quixstreams' dataframe as the engine runs it: the same topology, with less between a record and its outputs."""

from collections.abc import Callable
from typing import Any, cast

from quixstreams.core.stream import Stream
from quixstreams.core.stream.functions import StreamFunction
from quixstreams.dataframe import StreamingDataFrame
from quixstreams.models import Topic

from app.engine.runtime.batch import BatchContext


class PassThrough(StreamFunction):
    """Stands where streams begin or join, in place of four functions of the library that would do nothing."""

    def __init__(self) -> None:
        super().__init__(lambda value: value)

    def get_executor(self, *child_executors: Any) -> Any:
        """The steps that follow."""
        return self._resolve_branching(*child_executors)


class StatefulStep(StreamFunction):
    """A step that gets the state of the record's key; each output goes to the following steps by itself."""

    expand = True

    def __init__(self, func: Any, context: BatchContext) -> None:
        super().__init__(func)
        self._context = context

    def get_executor(self, *child_executors: Any) -> Any:
        """The step and those that follow."""
        func: Any = self.func
        context, following = self._context, self._resolve_branching(*child_executors)

        def process(value: Any, key: bytes | None, timestamp: int, headers: Any) -> None:
            for out in func(value, key, timestamp, headers, context.state(key)):
                following(out, key, timestamp, headers)

        return process


class SendStep(StreamFunction):
    """Puts an output into the batch in the making."""

    def __init__(self, context: BatchContext) -> None:
        super().__init__(lambda value: value)
        self._context = context

    def get_executor(self, *child_executors: Any) -> Any:
        """The step and those that follow."""
        context = self._context
        if [getattr(child, "__func__", None) for child in child_executors] == [Stream._default_sink]:  # nothing follows
            return lambda out, *_: context.send(out)
        following = self._resolve_branching(*child_executors)

        def send(out: Any, key: bytes | None, timestamp: int, headers: Any) -> None:
            context.send(out)
            following(out, key, timestamp, headers)

        return send


class BatchDataFrame(StreamingDataFrame):
    """A dataframe whose state is that of the batch in the making, and whose outputs go into its transaction."""

    def concat(self, other: StreamingDataFrame) -> StreamingDataFrame:
        """Joins two dataframes."""
        joined = super().concat(other)
        joined.stream.func = PassThrough()
        return joined

    def apply(self, func: Any, *, stateful: bool = False, expand: bool = False, metadata: bool = False) -> Any:
        """A stateful step gets the state of the record's key, besides the record and its metadata."""
        if not stateful:
            return super().apply(func, expand=expand, metadata=metadata)  # type: ignore[call-overload]
        if not (expand and metadata):
            raise ValueError("a stateful step of this engine takes metadata and returns a list")
        step = super().apply(func, expand=True, metadata=True)
        step.stream.func = StatefulStep(func, self._context)
        return step

    def set_headers(self, func: Any) -> StreamingDataFrame:  # noqa: ARG002
        """Does nothing: an output of this engine carries its headers."""
        return self

    def to_topic(self, topic: Topic | Callable[..., Topic], key: Any = None) -> StreamingDataFrame:  # noqa: ARG002
        """Sends the output to the topic, with the key, that it carries."""
        self._add_update(lambda *_: None, metadata=True)
        self.stream.func = SendStep(self._context)
        return self

    @property
    def _context(self) -> BatchContext:
        return cast("BatchContext", self._processing_context)
