"""The lives under way in one partition of the history, and the offset from which reading must start again."""

from app.traces.spans import ENDS, Document, Life, Span, life_of


class Lives:
    """Takes decisions in the order of their partition. Memory grows with the sagas that are under way, and only so."""

    def __init__(self) -> None:
        self._lives: dict[str, tuple[int, Life]] = {}
        self._next = 0

    def decided(self, offset: int, document: Document) -> list[Span]:
        """Takes a decision in; returns the spans of a life that it ends. What began before the first record is left."""
        self._next = offset + 1
        id = document["saga_id"]
        begun = life_of(document)
        if begun is not None:
            self._lives[id] = (offset, begun)
        if id not in self._lives:
            return []
        spans = self._lives[id][1].decided(document)
        if any(event["type"] in ENDS for event in document["events"]):
            del self._lives[id]
        return spans

    @property
    def restart(self) -> int:
        """The offset to start from again: the start of the oldest saga under way, or the next record."""
        return min((since for since, _ in self._lives.values()), default=self._next)

    @property
    def under_way(self) -> int:
        """The number of sagas that have not ended."""
        return len(self._lives)
