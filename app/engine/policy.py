"""Limits that several rooms of the engine share."""

from dataclasses import dataclass

CACHE_BYTES = 48 << 20
"""Memory for cached sagas, over all partitions of a pod."""

OLD_SECONDS = 6 * 3600.0
"""A local state older than this is rebuilt: half of the time for which the changelog must keep tombstones."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Known definitions (as `order/1`), and how many commands of a step a partition may have in flight."""

    definitions: frozenset[str]
    step_limit: int
