"""What must hold of every run, numbered for reference, and how a breach is told."""

from dataclasses import dataclass

INVARIANTS = {
    "INV-1": "Each input below the committed offset came to exactly one thing, and none beyond it to any.",
    "INV-2": "An order id starts one saga, with the content that came first, until that has ended and is forgotten.",
    "INV-3": "No command id was sent twice, and no timer took effect twice.",
    "INV-4": "A saga's events are a path of its state machine, fit their causes, and change nothing after the end.",
    "INV-5": "When all is quiet every input was read, and every saga has ended, or is stuck in all that is under way.",
    "INV-6": "What was charged or reserved and not given back is what completed orders cost and hold.",
    "INV-7": "The first final answer to an effect counts, and no other.",
    "INV-8": "What a rolled back saga did was undone, newest first; past the point of no return nothing is undone.",
    "INV-9": "A timer takes effect when its time has come, never before, and that time was told by an event.",
    "INV-10": "The state kept for a saga is the one that its events lead to, until it has ended and may be forgotten.",
    "INV-11": "No order got lost, and a dead letter is the record as it came, once, with where and why.",
    "INV-12": "Customer, amounts, lines and results are the same in order, commands and outcome.",
    "INV-13": "What is written for a saga has the saga's key, lies in the key's partition and names no other saga.",
    "INV-17": "The committed offsets of the group never go back.",
    "INV-18": "Nothing was caused by a record that was never committed.",
    "INV-20": "Causes are named truly, replies that counted answer commands sent before, decisions have no gap.",
    "INV-21": "Within a partition of events, the causes from one input partition come in order: one writer at a time.",
    "INV-23": "When all is quiet no transaction is open: the last stable offset is the high watermark.",
    "INV-24": "A saga tells its outcomes as its events have them: one final outcome when it has ended, none before.",
    "INV-25": "What the orchestrator writes has the form, the headers and the causation that the contract gives it.",
    "INV-26": "Each request among the events sent exactly its command, and no command was sent without one.",
    "INV-27": "Events tell of a message what it says: what people wished, who and why, what a participant answered.",
}
"""A closed table; those of other numbers cannot be seen from the topics of one run."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of an invariant; the saga is None where none is to blame."""

    invariant: str
    saga_id: str | None
    text: str
