"""The offsets that a participant may commit: those before its first unanswered command."""

from dataclasses import dataclass, field

from app.samples.participant.reply_outbox import CommandPosition


@dataclass(slots=True)
class _Partition:
    next: int = 0
    reported: int = -1
    unanswered: set[int] = field(default_factory=set)

    @property
    def position(self) -> int:
        return min(self.unanswered, default=self.next)


class AnsweredOffsets:
    """Tracks commands read and answered; a partition's position is the offset of its first unanswered command."""

    def __init__(self) -> None:
        self._partitions: dict[int, _Partition] = {}

    def read(self, command: CommandPosition) -> None:
        """A command was read."""
        number, offset = command
        partition = self._partitions.setdefault(number, _Partition())
        partition.unanswered.add(offset)
        partition.next = max(partition.next, offset + 1)

    def answered(self, command: CommandPosition) -> None:
        """A command was answered, or needs no answer; ignored when its partition was revoked since."""
        number, offset = command
        if number in self._partitions:
            self._partitions[number].unanswered.discard(offset)

    def forget(self) -> None:
        """All partitions were revoked or lost."""
        self._partitions.clear()

    def moved(self) -> dict[int, int]:
        """The positions that changed since the last call, by partition."""
        changed = {}
        for number, partition in self._partitions.items():
            if partition.position != partition.reported:
                changed[number] = partition.reported = partition.position
        return changed
