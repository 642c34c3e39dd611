"""The state of one saga outside of any store, for those who take turns without an engine."""

from dataclasses import dataclass

from app.engine.turn import Gate
from app.saga.state import Progress


@dataclass
class Slot:
    """What is stored, and what its participants bear."""

    gate: Gate
    progress: Progress | None = None

    def get(self) -> Progress | None:
        """What is stored."""
        return self.progress

    def set(self, progress: Progress) -> None:
        """Stores it."""
        self.progress = progress

    def forget(self) -> None:
        """Deletes it."""
        self.progress = None
