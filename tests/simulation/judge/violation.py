"""Something that must not be."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Which law was broken, in which saga (None: in none of them alone), and how."""

    law: str
    saga: str | None
    text: str

    def __str__(self) -> str:
        return f"{self.law}: {self.saga or 'the world'}: {self.text}"
