"""Moves of a saga that goes back."""

from app.saga.messages import Undone
from app.saga.standing import ignore
from app.saga.turn import Turn


def undone(turn: Turn, reply: Undone) -> None:
    """The undo is done, even when it was taken for stuck: on to the steps before, or to the end."""
    found = turn.answered("undo", reply)
    if found is None:
        return ignore(turn, reply)
    leg, attempt = found
    turn.happen({"type": "saga.compensation.succeeded", "step": leg.step, "attempt": attempt})
    return turn.go_on()
