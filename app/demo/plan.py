"""The numbers of a run as one value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Orders, their rate per second, shares (0 to 1) of injected faults, and when and how long a pod is down.

    `kill_at` is the share of orders placed when the pod is killed. `slow_ms` are the bounds of a slow reply's delay.
    """

    orders: int = 2000
    rate: float = 100.0
    seed: int = 1
    declined: float = 0.10
    sold_out: float = 0.05
    duplicates: float = 0.03
    slow: float = 0.03
    slow_ms: tuple[int, int] = (500, 2000)
    repeated_replies: float = 0.05
    failing: float = 0.02
    partitions: int = 8
    kill_at: float = 0.4
    down_seconds: float = 2.0
    patience_seconds: float = 120.0
