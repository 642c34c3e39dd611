"""The numbered list of invariants that every run must keep, and the form of a violation."""

from dataclasses import dataclass

INVARIANTS = {
    "INV-1": "Each input record below the committed offset has exactly one result, and no record after that has one.",
    "INV-2": "An order id starts one saga, with the content that came first, until that saga has ended and expired.",
    "INV-3": "No command id is sent twice, and no timer fires twice.",
    "INV-4": "A saga's events follow its state machine, fit their causes, and change nothing after the end.",
    "INV-5": "Once the run has settled, every input is read, and every saga has ended or is stuck in all active steps.",
    "INV-6": "The amounts charged or reserved, less those returned, equal what the completed orders cost and hold.",
    "INV-7": "The first final reply to an effect counts, and no other.",
    "INV-8": "A rolled back saga has undone everything it did, newest first; past the pivot nothing is undone.",
    "INV-9": "A timer fires once it is due, never before, and an event has announced its due time.",
    "INV-10": "The changelog holds the state that a saga's events lead to, until the saga has ended and may expire.",
    "INV-11": "No order is lost; a dead letter holds its record unchanged, once, with its origin and the reason.",
    "INV-12": "Customer, amounts, lines and results are the same in the order, its commands and its outcome.",
    "INV-13": "A record written for a saga has the saga's key, is in that key's partition, and names no other saga.",
    "INV-17": "The committed offsets of the group never go back.",
    "INV-18": "No decision or dead letter was caused by a record that was never committed.",
    "INV-20": "Decisions name their true causes and have no gap; replies that counted answer commands sent before.",
    "INV-21": "Within an events partition, causes from one input partition come in offset order: one writer at a time.",
    "INV-23": "Once the run has settled, no transaction is open: the last stable offset equals the high watermark.",
    "INV-24": "A saga's outcomes match its events: one final outcome when it has ended, none before.",
    "INV-25": "Every record that the orchestrator writes has the form, headers and causation that the contract gives.",
    "INV-26": "Each request event sent exactly its own command, and no command was sent without a request event.",
    "INV-27": "An event repeats its message truly: who requested what and why, or what the participant replied.",
}
"""The list is closed. The missing numbers belong to invariants that the topics of one run can't show."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of an invariant; `saga_id` is None if no single saga is concerned."""

    invariant: str
    saga_id: str | None
    text: str
