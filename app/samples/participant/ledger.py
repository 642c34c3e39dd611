"""A participant's ledger in SQLite: answers by idempotency key, their movements, and failed attempts by command id."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.ops.errors import CommandFailed
from app.samples.participant.contract_rules import Answer
from app.samples.services.base import Movement

_BUSY = 30.0  # seconds that a writer waits for another process's transaction
# WAL with synchronous=NORMAL: a commit survives any end of the process, but not a power cut.
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
    """A ledger in one file, created if missing; several processes may share it, each sees the others' commits.

    Raises CommandFailed when the file can't be used.
    """

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = _opened(file)
        except (OSError, sqlite3.Error) as error:
            raise CommandFailed(f"{file} can't be used as a ledger ({error}): name another file") from error

    def close(self) -> None:
        """Closes the file; an open transaction is rolled back."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commits all writes of the block together, or none when it raises."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            self._database.execute("ROLLBACK")
            raise

    def get(self, key: str) -> Answer | None:
        """The answer to the do or undo with this idempotency key; None before the first."""
        row = self._database.execute("SELECT type, value, at_ms FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        moved = self._database.execute("SELECT account, unit, amount FROM movements WHERE key = ?", (key,))
        type, value, at_ms = row
        return Answer(type, value, at_ms, tuple(Movement(*move) for move in moved))

    def put(self, key: str, answer: Answer) -> None:
        """Stores the answer to a do or undo, and its movements. Raises sqlite3.IntegrityError for a second answer."""
        row = (key, answer.type, answer.value, answer.at_ms)
        self._database.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", row)
        moves = [(key, move.account, move.unit, move.amount) for move in answer.movements]
        self._database.executemany("INSERT INTO movements VALUES (?, ?, ?, ?)", moves)

    def failure(self, command_id: str) -> Answer | None:
        """The failure of an attempt; None when it didn't fail, or wasn't made."""
        query = "SELECT type, value, at_ms FROM failures WHERE command = ?"
        row = self._database.execute(query, (command_id,)).fetchone()
        return None if row is None else Answer(*row)

    def put_failure(self, command_id: str, answer: Answer) -> None:
        """Stores an attempt's failure, for copies of its command. Raises sqlite3.IntegrityError for a second one."""
        row = (command_id, answer.type, answer.value, answer.at_ms)
        self._database.execute("INSERT INTO failures VALUES (?, ?, ?, ?)", row)

    def may_crash(self, command_id: str) -> bool:
        """True once for each command, so that a restarted process gets past it."""
        return self._database.execute("INSERT OR IGNORE INTO crashes VALUES (?)", (command_id,)).rowcount == 1

    def kept(self) -> Counter[str]:
        """Units taken and not given back: minor units by currency, or pieces by SKU; units at zero are left out."""
        return self._sums("SELECT unit, amount FROM movements")

    def accounts(self, unit: str) -> Counter[str]:
        """The amount of a unit taken from each account and not given back; accounts at zero are left out."""
        return self._sums("SELECT account, amount FROM movements WHERE unit = ?", unit)

    def answers(self) -> Counter[str]:
        """The number of answers of each type."""
        return Counter(dict(self._database.execute("SELECT type, count(*) FROM answers GROUP BY type")))

    def _sums(self, query: str, *given: str) -> Counter[str]:
        """Summed in Python, because SQLite's sum overflows at 64 bits."""
        sums: Counter[str] = Counter()
        for name, amount in self._database.execute(query, given):
            sums[name] += amount
        return Counter({name: amount for name, amount in sums.items() if amount})


def _opened(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, timeout=_BUSY, isolation_level=None)
    try:
        database.executescript(_OPEN)
    except sqlite3.Error:
        database.close()
        raise
    return database
