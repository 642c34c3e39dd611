"""A bug that the fuzzer must find, put into what takes records."""

from app.engine.turn import KeyState, Record, Turns
from app.wire.bad import Bad
from app.wire.writer import Out


class Careless(Turns):
    """Fails on a value that is too large, of which no good message tells anything."""

    def take(self, topic: str, record: Record, state: KeyState, at_ms: int) -> list[Out]:
        """All that a record leads to, or an exception."""
        try:
            self._reader.read(topic, record.key, record.value, record.headers)
        except Bad as bad:
            if bad.code == "too_large":
                raise ZeroDivisionError("planted") from bad
        return super().take(topic, record, state, at_ms)


def turns(careless: bool) -> type[Turns]:  # noqa: FBT001 - a switch of the command line
    """Those that are tried: the product's own, or with a bug in them."""
    return Careless if careless else Turns
