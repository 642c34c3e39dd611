"""A participant's books in SQLite: which answer each effect got, what it moved, and which attempts failed."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.samples.rules import Answer
from app.samples.service import Movement
from app.samples.trouble import Trouble

_BUSY = 30.0  # seconds that a writer waits for another process's transaction
# WAL with synchronous=NORMAL: what was committed outlives the process, whatever ends it; not a power cut.
_OPEN = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, type TEXT NOT NULL, value BLOB NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS movements (
    key TEXT NOT NULL REFERENCES answers, account TEXT NOT NULL, unit TEXT NOT NULL, amount INTEGER NOT NULL,
    PRIMARY KEY (key, account, unit)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failures (
    command TEXT PRIMARY KEY, type TEXT NOT NULL, value BLOB NOT NULL, at_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS crashes (command TEXT PRIMARY KEY) WITHOUT ROWID;
"""


class Ledger:
    """Books in one file, made when missing; several processes may share it, each sees what others have committed.

    Raises Trouble when the file can't be used.
    """

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._books = _opened(file)
        except (OSError, sqlite3.Error) as error:
            raise Trouble(f"{file} can't be used as a ledger ({error}): name another file") from error

    def close(self) -> None:
        """Ends the use of the file; an open transaction leaves no trace."""
        self._books.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is put in the block is kept at its end, or nothing of it."""
        self._books.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._books.execute("COMMIT")
        except BaseException:
            self._books.execute("ROLLBACK")
            raise

    def get(self, key: str) -> Answer | None:
        """The answer that an effect got; None before the first."""
        row = self._books.execute("SELECT type, value, at_ms FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        moved = self._books.execute("SELECT account, unit, amount FROM movements WHERE key = ?", (key,))
        type, value, at_ms = row
        return Answer(type, value, at_ms, tuple(Movement(*move) for move in moved))

    def put(self, key: str, answer: Answer) -> None:
        """Keeps the first answer to an effect, and what it moved. Raises sqlite3.IntegrityError for a second one."""
        self._books.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, answer.type, answer.value, answer.at_ms))
        moves = [(key, move.account, move.unit, move.amount) for move in answer.movements]
        self._books.executemany("INSERT INTO movements VALUES (?, ?, ?, ?)", moves)

    def failure(self, command_id: str) -> Answer | None:
        """How an attempt failed; None for one that didn't, or wasn't made."""
        query = "SELECT type, value, at_ms FROM failures WHERE command = ?"
        row = self._books.execute(query, (command_id,)).fetchone()
        return None if row is None else Answer(*row)

    def put_failure(self, command_id: str, answer: Answer) -> None:
        """Keeps how an attempt failed, for its copies. Raises sqlite3.IntegrityError for a second time."""
        row = (command_id, answer.type, answer.value, answer.at_ms)
        self._books.execute("INSERT INTO failures VALUES (?, ?, ?, ?)", row)

    def may_crash(self, command_id: str) -> bool:
        """True once for each command, so that a process started again gets past it."""
        return self._books.execute("INSERT OR IGNORE INTO crashes VALUES (?)", (command_id,)).rowcount == 1

    def kept(self) -> Counter[str]:
        """What was taken and not given back: minor units by currency, or pieces by SKU; units at zero are left out."""
        return self._sums("SELECT unit, amount FROM movements")

    def accounts(self, unit: str) -> Counter[str]:
        """What each account gave of one unit and did not get back; accounts at zero are left out."""
        return self._sums("SELECT account, amount FROM movements WHERE unit = ?", unit)

    def answers(self) -> Counter[str]:
        """How many effects got an answer of each type."""
        return Counter(dict(self._books.execute("SELECT type, count(*) FROM answers GROUP BY type")))

    def _sums(self, query: str, *given: str) -> Counter[str]:
        """Added up here, as SQLite's sum ends at 64 bits."""
        sums: Counter[str] = Counter()
        for name, amount in self._books.execute(query, given):
            sums[name] += amount
        return Counter({name: amount for name, amount in sums.items() if amount})


def _opened(file: Path) -> sqlite3.Connection:
    books = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
    try:
        books.executescript(_OPEN)
    except sqlite3.Error:
        books.close()
        raise
    return books
