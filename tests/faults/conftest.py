"""The same place as the engine's tests have."""

from tests.engine.conftest import place

__all__ = ["place"]
