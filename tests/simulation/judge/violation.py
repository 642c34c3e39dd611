"""The violation of an invariant."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """The invariant, the saga (None: not a single one), and a sentence about it."""

    invariant: str
    saga: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.saga or 'the world'}: {self.text}"
