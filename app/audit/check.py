"""Runs all checks on a recording: every invariant that the topics of one run can show."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from app.audit.checks import conservation, dead_letters, inputs, placement, sent_records, traces
from app.audit.checks.placement import Fold
from app.audit.evidence import Evidence, gather
from app.audit.history.histories import SagaHistory
from app.audit.history.replayed_saga import StepStatus
from app.audit.invariants import Violation
from app.audit.recording.recording import Recording
from app.audit.report.report import Report
from app.audit.report.totals import totals
from app.audit.spec import SagaSpec
from app.wire.topics import STATE, TopicPartitionKey

Check = Callable[[Evidence], Iterator[Violation]]


def check(recording: Recording, spec: SagaSpec, *, settled: bool = True, fold: Fold | None = None) -> Report:
    """Judges a recording of one saga.

    With `settled` false the run goes on: a record that is missing may still come, and is no violation. `fold` gives
    the state bytes to compare the changelog with.
    """
    evidence = gather(recording, spec, settled=settled)
    checks = (*_ALWAYS, *_SETTLED) if settled else _ALWAYS
    found = [violation for run_check in checks for violation in run_check(evidence)]
    if settled:
        found.extend(placement.states_match(evidence, fold))
    return Report(tuple(found), tuple(_notes(evidence)), totals(evidence))


class CommittedOffsets:
    """INV-17: compares samples of the group's committed offsets while a run goes on."""

    def __init__(self) -> None:
        self._last: dict[TopicPartitionKey, int] = {}

    def see(self, sample: Mapping[TopicPartitionKey, int]) -> list[Violation]:
        """The offsets that went back since the last sample. A partition that is missing has lost its offset."""
        found = []
        for (topic, number), offset in self._last.items():
            current = sample.get((topic, number))
            if current is None or current < offset:
                later = "none" if current is None else current
                found.append(Violation("INV-17", None, f"{topic}/{number}: committed {offset}, later {later}"))
        self._last.update(sample)
        return found


def _events_follow_state_machine(evidence: Evidence) -> Iterator[Violation]:
    for history in evidence.judged_histories():
        for invariant, text in history.replayed.violations:
            yield Violation(invariant, history.saga_id, text)


def _numbered_without_gap(evidence: Evidence) -> Iterator[Violation]:
    for history in evidence.kept_histories():
        numbers = [decision.seq for decision in history.decisions if not decision.flaw]
        if numbers != list(range(1, len(numbers) + 1)):
            at = next(index for index, number in enumerate(numbers, 1) if index != number)
            yield Violation("INV-20", history.saga_id, f"decision {at} has the number {numbers[at - 1]}")
        names = {str(decision.value.get("saga")) for decision in history.decisions}
        if len(names) > 1 or len({decision.version for decision in history.decisions}) > 1:
            yield Violation("INV-4", history.saga_id, "the saga changed its name or version between decisions")
        elif names - {evidence.spec.saga}:
            yield Violation("INV-4", history.saga_id, f"the saga is {names.pop()}, not {evidence.spec.saga}")


def _ended_or_stuck(evidence: Evidence) -> Iterator[Violation]:
    """INV-5: a saga that has not ended has active steps, and all of them are stuck."""
    for history in evidence.judged_histories():
        if history.decisions and not history.replayed.ended:
            yield from (Violation("INV-5", history.saga_id, text) for text in _unfinished(history))


def _unfinished(history: SagaHistory) -> Iterator[str]:
    replayed = history.replayed
    active = replayed.active
    for step, attempts in active.items():
        if attempts.status is not StepStatus.STUCK:
            yield f"the saga is still {replayed.phase_text}: {step} is {attempts.status.value}"
    if not active:
        yield f"the saga is still {replayed.phase_text}, but no step is active"


def _notes(evidence: Evidence) -> Iterator[str]:
    topics = [topic for topic in evidence.spec.topics if topic != STATE.name]
    if evidence.inputs and not evidence.recording.committed:
        yield "the group has no committed offset: is its name right?"
    unknown = Counter(h.decisions[0].version for h in evidence.histories if h.ended_in_unknown_version)
    for version, count in sorted(unknown.items()):
        yield f"{count} sagas ended in version {version}, whose definition is unknown: they are judged only in part"
    for partition in range(evidence.recording.partitions):
        cut = [topic for topic in topics if not evidence.is_kept(topic, partition)]
        if cut:
            yield f"partition {partition}: old records of {', '.join(cut)} are deleted, so it is judged only in part"


_ALWAYS: tuple[Check, ...] = (
    inputs.at_most_one_result,
    inputs.true_causes,
    sent_records.no_duplicates,
    sent_records.well_formed,
    dead_letters.true_dead_letters,
    placement.keys_and_partitions,
    placement.dead_letters_in_place,
    placement.single_writer,
    _events_follow_state_machine,
    _numbered_without_gap,
)
_SETTLED: tuple[Check, ...] = (
    inputs.exactly_one_result,
    dead_letters.no_order_lost,
    sent_records.as_announced,
    traces.as_caused,
    conservation.conserved,
    placement.no_open_transaction,
    _ended_or_stuck,
)
