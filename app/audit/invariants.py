"""Judges a recording: every invariant that can be seen from the topics of one run."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.audit import causes, dead_letters, ledger, places, sent
from app.audit.evidence import Evidence, gather
from app.audit.journey import Stand
from app.audit.lives import Story
from app.audit.places import Fold
from app.audit.recording import Place, Recording
from app.audit.statements import INVARIANTS, Violation
from app.audit.terms import Terms
from app.audit.totals import Totals, totals
from app.wire.topics import STATE

__all__ = ["INVARIANTS", "CommittedOffsets", "Report", "Violation", "check"]

Check = Callable[[Evidence], Iterator[Violation]]


@dataclass(frozen=True, slots=True)
class Report:
    """What was found wrong, what could not be judged (`notes`), and what the run adds up to."""

    violations: tuple[Violation, ...]
    notes: tuple[str, ...]
    totals: Totals

    @property
    def by_invariant(self) -> Mapping[str, int]:
        """How many violations there are of each invariant that is broken."""
        return Counter(violation.invariant for violation in self.violations)


def check(recording: Recording, terms: Terms, *, settled: bool = True, fold: Fold | None = None) -> Report:
    """Judges a recording of one saga. Not settled: taken while the run goes on; what is missing may still come."""
    evidence = gather(recording, terms, settled=settled)
    checks = (*_ALWAYS, *_SETTLED) if settled else _ALWAYS
    found = [violation for check_one in checks for violation in check_one(evidence)]
    if settled:
        found.extend(places.states_follow(evidence, fold))
    return Report(tuple(found), tuple(_notes(evidence)), totals(evidence))


class CommittedOffsets:
    """INV-17, fed while a run goes on: the group's committed offsets, seen again and again."""

    def __init__(self) -> None:
        self._last: dict[Place, int] = {}

    def see(self, sample: Mapping[Place, int]) -> list[Violation]:
        """What went back since the last sample; a partition that is gone has lost its offset."""
        found = []
        for place, offset in self._last.items():
            now = sample.get(place)
            if now is None or now < offset:
                text = f"{place[0]}/{place[1]}: committed {offset}, later {'nothing' if now is None else now}"
                found.append(Violation("INV-17", None, text))
        self._last.update(sample)
        return found


def _legal_paths(evidence: Evidence) -> Iterator[Violation]:
    for story in evidence.told_stories():
        for invariant, text in story.journey.problems:
            yield Violation(invariant, story.saga_id, text)


def _numbered(evidence: Evidence) -> Iterator[Violation]:
    for story in evidence.kept_stories():
        numbers = [decision.seq for decision in story.decisions if not decision.flaw]
        if numbers != list(range(1, len(numbers) + 1)):
            at = next(index for index, number in enumerate(numbers, 1) if index != number)
            yield Violation("INV-20", story.saga_id, f"decision {at} is numbered {numbers[at - 1]}")
        names = {str(decision.value.get("saga")) for decision in story.decisions}
        if len(names) > 1 or len({decision.version for decision in story.decisions}) > 1:
            yield Violation("INV-4", story.saga_id, "the saga changed its name or version on the way")
        elif names - {evidence.terms.saga}:
            yield Violation("INV-4", story.saga_id, f"the saga is {names.pop()}, not {evidence.terms.saga}")


def _arrived(evidence: Evidence) -> Iterator[Violation]:
    """Nothing may still be under way that isn't stuck, and said so; something must, or the saga has ended."""
    for story in evidence.told_stories():
        if story.decisions and not story.journey.ended:
            yield from (Violation("INV-5", story.saga_id, text) for text in _unfinished(story))


def _unfinished(story: Story) -> Iterator[str]:
    journey = story.journey
    under_way = journey.under_way
    for step, effort in under_way.items():
        if effort.stand is not Stand.STUCK:
            yield f"the saga is still {journey.told}: {step} is {effort.stand.value}"
    if not under_way:
        yield f"the saga is still {journey.told}, and nothing is under way"


def _notes(evidence: Evidence) -> Iterator[str]:
    topics = [topic for topic in evidence.terms.topics if topic != STATE.name]
    if evidence.inputs and not evidence.recording.committed:
        yield "the group has no committed offset: was it named rightly?"
    unknown = Counter(story.decisions[0].version for story in evidence.stories if story.unknown)
    for version, count in sorted(unknown.items()):
        yield f"{count} sagas ended by version {version}, of which no definition is known: judged in part only"
    for partition in range(evidence.recording.partitions):
        cut = [topic for topic in topics if not evidence.kept(topic, partition)]
        if cut:
            yield f"partition {partition}: old records of {', '.join(cut)} are deleted, so it was judged in part only"


_ALWAYS: tuple[Check, ...] = (
    causes.one_result,
    causes.true_causes,
    sent.sent_once,
    sent.well_formed,
    dead_letters.true_dead_letters,
    places.in_place,
    places.dead_letters_in_place,
    places.single_writer,
    _legal_paths,
    _numbered,
)
_SETTLED: tuple[Check, ...] = (
    causes.every_result,
    dead_letters.nothing_lost,
    sent.as_announced,
    ledger.conserved,
    places.quiescent,
    _arrived,
)
