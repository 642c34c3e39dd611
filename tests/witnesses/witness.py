"""A witness: somebody who says how far a consumer group lags behind, partition by partition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.wire.topics import TopicPartitionKey

Lag = Mapping[TopicPartitionKey, int]
"""Records by topic (with prefix) and partition. A partition that the witness doesn't know is absent."""


class Unavailable(Exception):
    """The witness can't be asked on this machine. The message says what to install or to run."""


class NoAnswer(Exception):
    """The witness was asked and gave no lag, as happens while a group's coordinator moves. It may be asked again."""


@dataclass(frozen=True, slots=True)
class Witness:
    """`lag` asks it, and raises NoAnswer. `counts_unstable`: it counts up to the high watermark, not the LSO."""

    name: str
    lag: Callable[[], Lag]
    counts_unstable: bool = True
