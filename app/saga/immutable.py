"""The decorator of the core's immutable values."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[T]) -> type[T]:
    """A slotted dataclass, frozen for the type checker only: freezing it at run time would cost four times as much."""
    return dataclass(slots=True)(cls)
