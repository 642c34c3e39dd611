"""A time in which something is out, counted from the start of the process."""

from dataclasses import dataclass

from app.samples.trouble import Trouble


@dataclass(frozen=True, slots=True)
class Outage:
    """From one time to another, in seconds after the start; the last one is no longer in it, infinity never comes.

    Raises Trouble, with a sentence, for what cannot be.
    """

    begins: float
    ends: float

    def __post_init__(self) -> None:
        if not 0 <= self.begins <= self.ends:
            raise Trouble("an outage needs two times in seconds after the start, the earlier one first")

    def __contains__(self, seconds: float) -> bool:
        return self.begins <= seconds < self.ends


NEVER = Outage(0, 0)
