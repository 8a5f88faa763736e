"""What was begun and what became of it, on disk before anything is dialled: so no call is made twice, and none is forgotten.

No number and no word of a message is kept here.
"""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from postmeter.kit.refusals import Refusal

KEPT_SECONDS = 7 * 86_400
ENDED = frozenset({"completed", "broken", "busy", "no-answer", "failed", "lost"})


@dataclass(frozen=True, slots=True)
class Job:
    """A call or a fax. `seconds` it lasted from its answer; `code` and `words` are why it ended, where somebody said."""

    ref: str
    kind: str
    receipts: str
    status: str
    seconds: int
    pages: int
    code: str
    words: str


_TABLE = """CREATE TABLE IF NOT EXISTS job (
    ref TEXT PRIMARY KEY, kind TEXT NOT NULL, receipts TEXT NOT NULL, status TEXT NOT NULL, answered_at REAL, seen_at REAL,
    seconds INTEGER NOT NULL DEFAULT 0, pages INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
    words TEXT NOT NULL DEFAULT '', ended INTEGER NOT NULL DEFAULT 0, told TEXT NOT NULL DEFAULT 'queued', changed_at REAL NOT NULL)"""
_SELECT = "SELECT ref, kind, receipts, status, seconds, pages, code, words FROM job"


class Journal:
    """One file, one process. Each write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1)
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")  # a second process would bury what the first one is talking
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_TABLE)
            self._bury()
        except sqlite3.OperationalError:
            self._db.close()
            raise Refusal(f"{path} belongs to a trunk that is running.", remedy="Stop that one first.") from None

    def close(self) -> None:
        self._db.close()

    def take(self, ref: str, kind: str, receipts: str) -> bool:
        """Whether it is new."""
        done = self._db.execute(
            "INSERT INTO job (ref, kind, receipts, status, changed_at) VALUES (?, ?, ?, 'queued', ?) ON CONFLICT DO NOTHING",
            [ref, kind, receipts, time.time()],
        )
        return done.rowcount == 1

    def note(self, ref: str, status: str, *, seconds: float = 0, pages: int = 0, code: str = "", words: str = "") -> None:
        """A step forward; what has ended stays as it ended. Seconds count as they began."""
        now = time.time()
        self._db.execute(
            "UPDATE job SET status = ?, seconds = ?, pages = ?, code = ?, words = ?, ended = ?, changed_at = ?, seen_at = ?,"
            " answered_at = CASE WHEN ? = 'answered' THEN ? ELSE answered_at END WHERE ref = ? AND NOT ended",
            [status, -int(-seconds // 1), pages, code, words, status in ENDED, now, now, status, now, ref],
        )

    def seen(self, refs: list[str]) -> None:
        """These go on: should we die now, they lasted at least until now."""
        self._db.executemany("UPDATE job SET seen_at = ? WHERE ref = ?", [(time.time(), ref) for ref in refs])

    def job(self, ref: str) -> Job | None:
        row = self._db.execute(_SELECT + " WHERE ref = ?", [ref]).fetchone()
        return Job(*row) if row else None

    def untold(self) -> list[Job]:
        """Those of whose status nobody has been told."""
        return [Job(*row) for row in self._db.execute(_SELECT + " WHERE status <> told ORDER BY changed_at")]

    def told(self, job: Job) -> None:
        self._db.execute("UPDATE job SET told = ? WHERE ref = ?", [job.status, job.ref])

    def forget_old(self) -> None:
        self._db.execute(
            "DELETE FROM job WHERE status = told AND ended AND changed_at < ?",
            [time.time() - KEPT_SECONDS],
        )

    def _bury(self) -> None:
        """What a process that died has left: never dialled, or dialled, and then nobody can say how it ended."""
        self._db.execute("UPDATE job SET status = 'failed', code = 'not_called', ended = 1 WHERE status = 'queued'")
        self._db.execute(
            "UPDATE job SET status = 'lost', ended = 1, seconds = CASE WHEN answered_at IS NULL THEN 0 ELSE"
            " CAST(seen_at - answered_at AS INTEGER) + 1 END WHERE NOT ended"
        )
