"""Notes in a store that tell whether it has every save it speaks of, and up to when it was known to be whole.

RocksDB keeps a list of its files, and a log of what is in none of them yet. When the log is cut, what was written last
is missing, and the offset with it: that is read again. But where list and log are of different times, as in a copy
made of a store in use, or when the list was cut, what was written between is missing, and RocksDB does not say so.

So saves are numbered, and noted on pages: each says where it begins, and which save was the last one on it. A page is
begun by each life, and when one is full, which is long before RocksDB brings its log into a file. Whatever goes missing
takes the end of a page with it, and the next one doesn't begin there then.
"""

from collections.abc import Callable
from itertools import pairwise

import orjson

from app.engine.writes import Write
from app.saga.facts import fact

_PAGE = b"\x00page"
_KEPT = 4096  # pages; if the list of files is older than so many, files that it names are gone
_FULL_BYTES = 1 << 19  # RocksDB's log takes 16 times as much
_RECORD_BYTES = 200  # what a record takes besides its value, at most
_NUMBER = slice(len(_PAGE), None)


@fact
class Page:
    """The saves before it and up to its last one, by number; the changelog's offset, and when (ms since 1970) it was
    known that nothing was missing up to the end of the changelog."""

    before: int
    last: int
    offset: int
    whole_ms: int


class Pages:
    """The pages of one store, of which one is being written."""

    def __init__(self, number: int, page: Page) -> None:
        self._number = number
        self._bytes = 0
        self.page = page

    @classmethod
    def read(cls, keys: list[bytes], get: Callable[[bytes], bytes | None]) -> "Pages | None":
        """The pages that these keys (`PAGES` and what begins so, in order) are of; None: something is missing."""
        numbers = [int.from_bytes(key[_NUMBER], "big") for key in keys]
        if not numbers or numbers != list(range(max(1, numbers[-1] - _KEPT), numbers[-1] + 1)):
            return None
        pages = [Page(*orjson.loads(get(key) or b"[]")) for key in keys]
        if any(page.before != earlier.last for earlier, page in pairwise(pages)):
            return None
        return cls(numbers[-1], pages[-1])

    @classmethod
    def none(cls, whole_ms: int) -> "Pages":
        """Those of an empty store, which takes in from then on what the changelog has."""
        return cls(0, Page(0, 0, 0, whole_ms))

    def begin(self) -> list[Write]:
        """Begins a page; what is to be written."""
        self._number += 1
        self._bytes = 0
        begun = self._turn(Page(self.page.last, self.page.last, self.page.offset, self.page.whole_ms))
        return [begun, (_key(self._number - _KEPT - 1), None)] if self._number > _KEPT + 1 else [begun]

    def note(self, size: int, records: int, offset: int, whole_ms: int) -> list[Write]:
        """Notes a save of so many records, with so many bytes of values; what is to be written with them."""
        begun = self.begin() if self._bytes > _FULL_BYTES else []
        self._bytes += size + records * _RECORD_BYTES
        return [*begun, self._turn(Page(self.page.before, self.page.last + 1, offset, whole_ms))]

    def _turn(self, page: Page) -> Write:
        self.page = page
        return _key(self._number), orjson.dumps((page.before, page.last, page.offset, page.whole_ms))


def _key(number: int) -> bytes:
    return _PAGE + number.to_bytes(8, "big")


PAGES = (_PAGE, _PAGE + b"\xff" * 9)
"""All keys of pages are between these."""
