"""The reason why a record can't be processed."""

from typing import Literal

Code = Literal["malformed", "too_large", "unknown_type", "invalid", "conflict", "unknown_order", "wrong_key"]


class InvalidRecord(Exception):
    """A record for the dead letters: a short code, and a sentence that repeats nothing from the record."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
