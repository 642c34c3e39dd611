"""Ids derived from what they name, so that the same decision taken twice gives the same ids."""

from typing import Literal

Direction = Literal["do", "undo"]


def idempotency_key(saga_id: str, step: str, direction: Direction) -> str:
    """One key for all attempts to do a step, and another one for all attempts to undo it."""
    return f"{saga_id}:{step}:{direction}"


def command_id(saga_id: str, step: str, direction: Direction, attempt: int) -> str:
    """The id of one attempt (from 1)."""
    return f"{saga_id}:{step}:{direction}:{attempt}"


def outcome_id(saga_id: str, started_ms: int, seq: int) -> str:
    """The id of a decision's outcome, of which there is at most one. `started_ms`: an order id may be used again."""
    return f"{saga_id}:outcome:{started_ms}:{seq}"


def attempt_of(command: str, key: str) -> int | None:
    """The attempt (from 1) that a command id names; None if the id is not one of this idempotency key."""
    head, colon, tail = command.rpartition(":")
    if head != key or not colon or not (tail.isascii() and tail.isdigit()) or tail[0] == "0" or len(tail) > 9:
        return None
    return int(tail)
