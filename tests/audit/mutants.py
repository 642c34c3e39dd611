"""All recordings that were tampered with: one change to the good run each, and the invariant that it breaks."""

from tests.audit import mutants_of_decisions, mutants_of_inputs, mutants_of_rules, mutants_of_sent_records
from tests.audit.mutation import Mutants

MUTANTS: Mutants = {
    **mutants_of_inputs.MUTANTS,
    **mutants_of_sent_records.MUTANTS,
    **mutants_of_decisions.MUTANTS,
    **mutants_of_rules.MUTANTS,
}
