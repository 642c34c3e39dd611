"""The result of an audit, as a value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from app.audit.invariants import Violation
from app.audit.report.totals import Totals


@dataclass(frozen=True, slots=True)
class Report:
    """The violations, `notes` on what could not be judged, and the totals of the run."""

    violations: tuple[Violation, ...]
    notes: tuple[str, ...]
    totals: Totals

    @property
    def by_invariant(self) -> Mapping[str, int]:
        """The number of violations of each broken invariant."""
        return Counter(violation.invariant for violation in self.violations)
