"""How many sagas of a partition are where: counted with every change, kept beside them, so that nobody counts anew."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from app.saga.state import TIMED, UNDER_WAY, NotStarted, State, Waiting

Count = tuple[str, str]
"""What is counted, and of which step or definition."""
Counts = tuple[Count, ...]

ASKED, WAITING, LIVE, STUCK, ENDED = "asked", "waiting", "live", "stuck", "ended"
_MOST_MOVES = 10_000  # known at a time: most sagas make a few, one with many steps at once almost any number
NOBODY: Counts = ()
_HAS_STUCK, _HAS_ENDED = (STUCK, ""), (ENDED, "")


def counts_of(state: State | None) -> Counts:
    """As what a saga counts."""
    if isinstance(state, UNDER_WAY):
        found: list[Count] = [(LIVE, state.facts.definition)]
        for leg in state.legs:
            if isinstance(leg, TIMED):
                found.append((ASKED, leg.step))
            elif isinstance(leg, Waiting):
                found.append((WAITING, leg.step))
            elif _HAS_STUCK not in found:
                found.append(_HAS_STUCK)
        return tuple(found)
    return NOBODY if state is None or isinstance(state, NotStarted) else (_HAS_ENDED,)


class Census:
    """Counts over one partition. By step: commands outstanding (a pause before the next one counts), and steps that
    wait for room; by definition: sagas under way; and how many have a stuck step, or have ended."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.waiting: Counter[str] = Counter()
        self.live: Counter[str] = Counter()
        self._people: Counter[str] = Counter()
        self._all = {ASKED: self.asked, WAITING: self.waiting, LIVE: self.live}
        self._moves: dict[tuple[Counts, Counts], list[tuple[Counter[str], str, int]]] = {}

    @property
    def stuck(self) -> int:
        """Sagas that wait for a person."""
        return self._people[STUCK]

    @property
    def ended(self) -> int:
        """Sagas that have ended and are remembered."""
        return self._people[ENDED]

    def change(self, old: Counts, new: Counts) -> None:
        """A saga counted as that, and counts as this now."""
        moves = self._moves.get((old, new))
        if moves is None:
            if len(self._moves) >= _MOST_MOVES:
                self._moves.clear()
            moves = self._moves[old, new] = [*self._each(old, new, -1), *self._each(new, old, 1)]
        for counter, name, one in moves:
            counter[name] += one

    def document(self) -> dict[str, Any]:
        """The counts as JSON."""
        shown = {kind: {name: count for name, count in of.items() if count} for kind, of in self._all.items()}
        return {**shown, STUCK: self.stuck, ENDED: self.ended}

    def load(self, counts: dict[str, Any]) -> None:
        """Takes the counts over from a document."""
        for kind, of in self._all.items():
            of.update(counts[kind])
        self._people.update({kind: counts[kind] for kind in (STUCK, ENDED)})

    def _each(self, counts: Counts, but: Counts, one: int) -> Iterator[tuple[Counter[str], str, int]]:
        for kind, name in counts:
            if (kind, name) not in but:
                yield (self._all[kind], name, one) if name else (self._people, kind, one)
