"""The simulator's own book: SQLite in write-ahead mode, so that whatever was answered survives a SIGKILL of the simulator.

One connection, one event loop, no await inside a transaction: what a transaction does is done whole or not at all.
"""

import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


def as_text(content: object) -> str:
    """JSON as it stands in a column."""
    return msgspec.json.encode(content).decode()


class FolderInUse(Exception):
    """Another simulator already keeps its log in this folder."""


class Log:
    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "simulator.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise FolderInUse(f"Another simulator already keeps its log in {folder}. Stop it or name another folder.") from error
        self._db = sqlite3.connect(folder / "simulator.sqlite3", isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # what was written survives our death; only a power cut could lose it
        self._db.executescript(SCHEMA)
        self._afterwards: list[Callable[[], None]] = []

    def close(self) -> None:
        self._db.close()
        self._lock.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is kept together. Inside another transaction it simply belongs to that one."""
        if self._db.in_transaction:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            self._afterwards.clear()
            raise
        self._db.execute("COMMIT")
        due, self._afterwards = self._afterwards, []
        for act in due:
            act()

    def once_kept(self, act: Callable[[], None]) -> None:
        """Acts when the present transaction is kept; never if it is rolled back."""
        if self._db.in_transaction:
            self._afterwards.append(act)
        else:
            act()

    def execute(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Cursor:
        return self._db.execute(statement, values)

    def rows(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        return self._db.execute(statement, values).fetchall()

    def row(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._db.execute(statement, values).fetchone()
        return found

    def one(self, statement: str, values: tuple[Any, ...] | dict[str, Any] = ()) -> sqlite3.Row:
        """The row that must be there."""
        found: sqlite3.Row = self._db.execute(statement, values).fetchall()[0]
        return found

    def insert(self, statement: str, values: tuple[Any, ...]) -> int:
        """The number of the new row."""
        return int(self._db.execute(statement, values).lastrowid or 0)

    def append(self, *, at: float, kind: str, subject: str, **facts: Any) -> None:
        self._db.execute("INSERT INTO log (at, kind, subject, facts) VALUES (?, ?, ?, ?)", (at, kind, subject, as_text(facts)))

    def count(self, kind: str, subject: str) -> int:
        return int(self.one("SELECT count(*) FROM log WHERE subject = ? AND kind = ?", (subject, kind))[0])

    def entries(self, *, kind: str = "*", subject: str | None = None, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Entries in the order in which they were written; `kind` may be a pattern such as `charge.*`."""
        rows = self.rows(
            "SELECT * FROM log WHERE seq > :after AND kind GLOB :kind AND (:subject IS NULL OR subject = :subject)"
            " ORDER BY seq LIMIT :limit",
            {"after": after, "kind": kind, "subject": subject, "limit": limit},
        )
        return [
            {
                "seq": row["seq"],
                "at": row["at"],
                "kind": row["kind"],
                "subject": row["subject"],
                **msgspec.json.decode(row["facts"]),
            }
            for row in rows
        ]

    def knob(self, name: str, default: Any) -> Any:
        found = self.row("SELECT value FROM knobs WHERE name = ?", (name,))
        return msgspec.json.decode(found["value"]) if found else default

    def turn(self, name: str, value: Any) -> None:
        statement = "INSERT INTO knobs VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        self.execute(statement, (name, as_text(value)))
