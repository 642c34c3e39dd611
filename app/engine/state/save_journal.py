"""A journal of saves, kept in the store itself: it shows whether a save is missing, and how recent the store is.

RocksDB keeps a list of its files, and a log of the writes that are in none of them yet. When the log is cut, the last
writes are missing, and the changelog offset with them: those records are read again. But when list and log are of
different times, as in a copy of a store in use, or when the list was cut, writes in the middle are missing, and RocksDB
does not say so.

So saves are numbered, and noted on pages: each page says where it begins, and which save was the last one on it. Each
process begins a new page, and so does a save when a page is full, which is long before RocksDB brings its log into a
file. Whatever goes missing takes the end of a page with it, and then the next page does not begin there.
"""

from collections.abc import Callable
from itertools import pairwise

import orjson

from app.saga.immutable import immutable

Write = tuple[bytes, bytes | None]
"""A key and its value; None deletes the key."""

_PAGE = b"\x00page"
_MAX_PAGES = 4096  # if the list of files is older than this, files that it names are gone
_FULL_BYTES = 1 << 19  # RocksDB's log takes 16 times as much
_RECORD_BYTES = 200  # at most, besides the record's value
_NUMBER = slice(len(_PAGE), None)


@immutable
class JournalPage:
    """One page: the number of the last save before it, and of the last one on it; the changelog offset after that; and
    when (ms since 1970) the store was last known to be complete up to the end of the changelog."""

    before: int
    last: int
    offset: int
    complete_as_of_ms: int


class SaveJournal:
    """The pages of one store; saves are noted on the last one."""

    def __init__(self, number: int, page: JournalPage) -> None:
        self._number = number
        self._bytes = 0
        self.page = page

    @classmethod
    def read(cls, keys: list[bytes], get: Callable[[bytes], bytes | None]) -> "SaveJournal | None":
        """Reads all pages, whose keys are given in order. Returns None if a save is missing."""
        numbers = [int.from_bytes(key[_NUMBER], "big") for key in keys]
        if not numbers or numbers != list(range(max(1, numbers[-1] - _MAX_PAGES), numbers[-1] + 1)):
            return None
        pages = [JournalPage(*orjson.loads(get(key) or b"[]")) for key in keys]
        if any(page.before != earlier.last for earlier, page in pairwise(pages)):
            return None
        return cls(numbers[-1], pages[-1])

    @classmethod
    def empty(cls, complete_as_of_ms: int) -> "SaveJournal":
        """The journal of an empty store, which is complete as of that time: it is restored from the whole changelog."""
        return cls(0, JournalPage(0, 0, 0, complete_as_of_ms))

    def begin(self) -> list[Write]:
        """Begins a page; returns the writes for it."""
        self._number += 1
        self._bytes = 0
        page = self._write_page(
            JournalPage(self.page.last, self.page.last, self.page.offset, self.page.complete_as_of_ms)
        )
        return [page, (_key(self._number - _MAX_PAGES - 1), None)] if self._number > _MAX_PAGES + 1 else [page]

    def note(self, size: int, records: int, offset: int, complete_as_of_ms: int) -> list[Write]:
        """Notes a save of so many records with `size` bytes of values; returns what to write in the same batch."""
        page = self.begin() if self._bytes > _FULL_BYTES else []
        self._bytes += size + records * _RECORD_BYTES
        return [*page, self._write_page(JournalPage(self.page.before, self.page.last + 1, offset, complete_as_of_ms))]

    def _write_page(self, page: JournalPage) -> Write:
        self.page = page
        return _key(self._number), orjson.dumps((page.before, page.last, page.offset, page.complete_as_of_ms))


def _key(number: int) -> bytes:
    return _PAGE + number.to_bytes(8, "big")


JOURNAL_KEYS = (_PAGE, _PAGE + b"\xff" * 9)
"""The keys of all pages are in this range."""
