"""Replies that end a step or its compensation, and replies that are ignored."""

from app.saga.messages import Refused, Reply, Succeeded, Undone
from app.saga.state import ACTIVE_STATES, Compensating, RolledBack
from app.saga.transition import Transition, because, join_names


def on_succeeded(transition: Transition, reply: Succeeded) -> None:
    """Completes the step, even a stuck one. The saga advances to the next steps, or completes."""
    found = transition.match_reply("do", reply)
    if found is None:
        return ignore_reply(transition, reply)
    active, attempt = found
    transition.emit({"type": "saga.step.succeeded", "step": active.step, "attempt": attempt, "result": reply.result})
    return transition.advance()


def on_refused(transition: Transition, reply: Refused) -> None:
    """Rolls the saga back. The refused step did nothing, so only the other steps are compensated."""
    found = transition.match_reply("do", reply)
    if found is None or transition.saga.step(reply.step).refused is None:
        return ignore_reply(transition, reply)
    active, attempt = found
    transition.emit(
        {
            "type": "saga.step.refused",
            "step": active.step,
            "attempt": attempt,
            "reason": reply.reason,
            "because": because(reply.reason, active.step),
        }
    )
    return transition.advance()


def on_undone(transition: Transition, reply: Undone) -> None:
    """Completes the compensation, even a stuck one. The saga advances to earlier steps, or is rolled back."""
    found = transition.match_reply("undo", reply)
    if found is None:
        return ignore_reply(transition, reply)
    active, attempt = found
    transition.emit({"type": "saga.compensation.succeeded", "step": active.step, "attempt": attempt})
    return transition.advance()


def ignore_reply(transition: Transition, reply: Reply) -> None:
    """Records a duplicate, late or unexpected reply; it changes nothing."""
    state, reason = transition.state, "nothing is awaited"
    if (
        isinstance(reply, Succeeded)
        and isinstance(state, Compensating | RolledBack)
        and not transition.saga.undoable.get(reply.step, True)
    ):
        reason = f"{reply.step} was taken as never done, and can't be undone: see to it"
    elif isinstance(state, ACTIVE_STATES):
        steps = [active.step for active in state.active_steps]
        reason = f"another answer of {join_names(steps, ' and ')} is awaited"
    transition.emit({"type": "saga.reply.ignored", "reply": reply.type, "command": reply.command, "reason": reason})
