"""The offsets of input partitions, and the lag that follows from them."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One input partition. `topic` is without prefix; `committed` is None before the first commit.

    `first` is the first offset that is not deleted, `stable` the last stable offset, `end` the high watermark.
    `owner` is the member that the partition is assigned to. `oldest_ms` is the timestamp of the first record that is
    not decided; None when there is none, or when it could not be read. `markers_only` says that nothing but transaction
    markers lies between the committed and the last stable offset.
    """

    topic: str
    partition: int
    committed: int | None
    first: int
    stable: int
    end: int
    owner: str | None = None
    oldest_ms: int | None = None
    markers_only: bool = False

    @property
    def position(self) -> int:
        """Where the group reads on: without a commit it begins with the first record."""
        return self.first if self.committed is None else max(self.committed, self.first)

    @property
    def lag(self) -> int:
        """Offsets from the position to the last stable offset; 0 when they hold transaction markers only."""
        return 0 if self.markers_only else max(0, self.stable - self.position)

    @property
    def held_back(self) -> int:
        """Offsets that nobody can read yet, because they lie behind an open transaction."""
        return max(0, self.end - self.stable)

    @property
    def deleted(self) -> int:
        """Offsets that retention deleted before the group came to them."""
        return 0 if self.committed is None else max(0, self.first - self.committed)

    def seconds(self, now_ms: int) -> float | None:
        """The age of the first record that is not decided: 0.0 without lag, None when it could not be read."""
        if self.lag == 0:
            return 0.0
        return None if self.oldest_ms is None else max(0.0, (now_ms - self.oldest_ms) / 1000)


@dataclass(frozen=True, slots=True)
class TotalLag:
    """The sum over partitions; `seconds` is that of the oldest record, None when the age of some is unknown."""

    lag: int
    held_back: int
    seconds: float | None


def total(partitions: Iterable[PartitionLag], now_ms: int) -> TotalLag:
    """The total of all partitions at a time (ms since 1970)."""
    every = list(partitions)
    ages = [each.seconds(now_ms) for each in every]
    known = [age for age in ages if age is not None]
    oldest = max(known, default=0.0) if len(known) == len(ages) else None
    return TotalLag(sum(each.lag for each in every), sum(each.held_back for each in every), oldest)
