"""Judges a recording: every invariant that can be seen from the topics of one run."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.audit import causes, dead_letters, ledger, places, sent
from app.audit.evidence import Evidence, gather
from app.audit.journey import ENDED, Phase
from app.audit.places import Fold
from app.audit.recording import Place, Recording
from app.audit.statements import INVARIANTS, Violation
from app.audit.terms import TOPICS
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


def check(recording: Recording, *, settled: bool = True, fold: Fold | None = None) -> Report:
    """Judges a recording. Not settled: taken while the run goes on; what is missing may still come."""
    evidence = gather(recording, settled=settled)
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
    for story in evidence.told_stories():
        numbers = [decision.seq for decision in story.decisions if not decision.flaw]
        if numbers != list(range(1, len(numbers) + 1)):
            at = next(index for index, number in enumerate(numbers, 1) if index != number)
            yield Violation("INV-20", story.saga_id, f"decision {at} is numbered {numbers[at - 1]}")
        versions = {(str(d.value.get("saga")), str(d.value.get("version"))) for d in story.decisions}
        if len(versions) > 1:
            yield Violation("INV-4", story.saga_id, "the saga changed its name or version on the way")


def _arrived(evidence: Evidence) -> Iterator[Violation]:
    for story in evidence.told_stories():
        phase = story.journey.phase
        if story.decisions and phase not in (*ENDED, Phase.STUCK):
            yield Violation("INV-5", story.saga_id, f"the saga is still {phase.value}")


def _notes(evidence: Evidence) -> Iterator[str]:
    if evidence.inputs and not evidence.recording.committed:
        yield "the group has no committed offset: was it named rightly?"
    for partition in range(evidence.recording.partitions):
        cut = [topic for topic in TOPICS if topic != STATE.name and not evidence.kept(topic, partition)]
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
