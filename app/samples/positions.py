"""How far each partition is answered."""

from dataclasses import dataclass, field

from app.samples.replies import Place


@dataclass(slots=True)
class _Partition:
    next: int = 0
    told: int = -1
    open: set[int] = field(default_factory=set)

    @property
    def position(self) -> int:
        return min(self.open, default=self.next)


class Positions:
    """Which commands were read and which answered; a partition's position is its first offset that wasn't answered."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def read(self, place: Place) -> None:
        """A command came."""
        number, offset = place
        partition = self._partitions.setdefault(number, _Partition())
        partition.open.add(offset)
        partition.next = max(partition.next, offset + 1)

    def answered(self, place: Place) -> None:
        """A command needs nothing more; one of a partition that was given away since is none of ours."""
        number, offset = place
        if number in self._partitions:
            self._partitions[number].open.discard(offset)

    def forget(self) -> None:
        """All partitions were given away."""
        self._partitions.clear()

    def moved(self) -> dict[int, int]:
        """The position of each partition whose position isn't what was told here the last time."""
        news = {}
        for number, partition in self._partitions.items():
            if partition.position != partition.told:
                news[number] = partition.told = partition.position
        return news
