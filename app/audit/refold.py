"""The state that a saga's events add up to, as the bytes that the changelog must hold for it."""

from typing import Any

from app.audit.places import Fold
from app.saga.definition import Saga
from app.saga.evolve import advance
from app.saga.state import UNKNOWN
from app.saga.versions import Versions
from app.wire.statedoc import encode


def refold(saga: Saga | Versions) -> Fold:
    """Folds the decisions of one saga, in order, into its state document, by the version that they name."""
    versions = saga.by_version if isinstance(saga, Versions) else {saga.version: saga}

    def fold(decisions: list[dict[str, Any]]) -> bytes:
        progress = UNKNOWN
        for decision in decisions:
            progress = advance(versions[decision["version"]], progress, decision["events"])
        return encode(progress)

    return fold
