"""All wrong recordings: a good one, spoiled in one way, and the invariant that this breaks."""

from tests.audit import spoiled_history, spoiled_inputs, spoiled_messages, spoiled_paths
from tests.audit.mutation import Mutants

MUTANTS: Mutants = {
    **spoiled_inputs.MUTANTS,
    **spoiled_messages.MUTANTS,
    **spoiled_history.MUTANTS,
    **spoiled_paths.MUTANTS,
}
