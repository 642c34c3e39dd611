"""The state of one saga without a store, for tests that call the processor without an engine."""

from dataclasses import dataclass

from app.engine.processor import Admission
from app.saga.state import Progress


@dataclass
class Slot:
    """A saga's stored progress, and the admission control of its partition."""

    admission: Admission
    progress: Progress | None = None

    def get(self) -> Progress | None:
        """The stored progress; None before the first and after `forget`."""
        return self.progress

    def set(self, progress: Progress) -> None:
        """Stores the progress."""
        self.progress = progress

    def forget(self) -> None:
        """Deletes the stored progress."""
        self.progress = None
