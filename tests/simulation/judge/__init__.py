"""The invariants of every world, whatever went wrong in it."""

from tests.simulation.judge.verdict import judge
from tests.simulation.judge.violation import Violation

__all__ = ["Violation", "judge"]
