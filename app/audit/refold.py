"""The state that a saga's events add up to, as the bytes that the changelog must hold for it."""

from typing import Any

from app.audit.places import Fold
from app.saga.definition import Saga
from app.saga.evolve import advance
from app.saga.state import UNKNOWN
from app.wire.statedoc import encode


def refold(saga: Saga) -> Fold:
    """Folds the decisions of one saga, in order, into its state document."""

    def fold(decisions: list[dict[str, Any]]) -> bytes:
        progress = UNKNOWN
        for decision in decisions:
            progress = advance(saga, progress, decision["events"])
        return encode(progress)

    return fold
