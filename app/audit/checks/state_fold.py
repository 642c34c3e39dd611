"""The state bytes that a saga's events fold to: the changelog must hold exactly these."""

from typing import Any

from app.audit.checks.placement import Fold
from app.saga.definition import Saga
from app.saga.evolve import fold
from app.saga.state import NO_SAGA
from app.saga.versions import Versions
from app.wire.state_codec import encode


def state_fold(saga: Saga | Versions) -> Fold:
    """A function that folds the decisions of one saga into its encoded state, by the version that they name."""
    versions = saga.by_version if isinstance(saga, Versions) else {saga.version: saga}

    def folded(decisions: list[dict[str, Any]]) -> bytes:
        progress = NO_SAGA
        for decision in decisions:
            progress = fold(versions[decision["version"]], progress, decision["events"], decision["cause"].get("id"))
        return encode(progress)

    return folded
