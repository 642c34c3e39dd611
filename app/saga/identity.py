"""Ids that follow from what they name, so that the same decision taken twice gives the same ids."""

from typing import Literal

Direction = Literal["do", "undo"]


def effect_key(saga_id: str, step: str, direction: Direction) -> str:
    """The idempotency key: one for all attempts of one effect."""
    return f"{saga_id}:{step}:{direction}"


def command_id(saga_id: str, step: str, direction: Direction, attempt: int) -> str:
    """The id of one attempt (from 1) of an effect."""
    return f"{saga_id}:{step}:{direction}:{attempt}"


def outcome_id(saga_id: str, started_ms: int, seq: int) -> str:
    """The id of the outcome that the decision with this number led to; a decision leads to one at most."""
    return f"{saga_id}:outcome:{started_ms}:{seq}"


def attempt_of(command: str, effect: str) -> int | None:
    """Which attempt (from 1) of the effect a command id names; None when it names none."""
    head, colon, tail = command.rpartition(":")
    if head != effect or not colon or not (tail.isascii() and tail.isdigit()) or tail[0] == "0" or len(tail) > 9:
        return None
    return int(tail)
