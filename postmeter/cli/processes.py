"""Child processes that are looked after: logged, brought back when they crash, and never left behind.

Each child leads a process group of its own, so that Ctrl-C reaches only us and we end them in order; if we are killed, the kernel
tells the children (PR_SET_PDEATHSIG, through setpriv). What a dead child leaves of its group is killed before it starts again.
"""

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_BYTES_MAX = 5_000_000
LOGS_KEPT = 3
LAST_LINES = 12
RESTARTS_MAX = 4
BACK_OFF_SECONDS = 1.0
# A child that ran this long had recovered: its next crash is a new story.
STEADY_SECONDS = 60.0
TROUBLE = re.compile(r"\b(WARNING|ERROR|CRITICAL|FATAL|PANIC)\b")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """What to run, and how long it may take to finish what is under way when it is asked to stop."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    patience_seconds: float = 10.0


class _Log(RotatingFileHandler):
    """A log that never stops the reader: on a full disk the lines are lost, the child must not hang on its pipe."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=LOG_BYTES_MAX, backupCount=LOGS_KEPT, encoding="utf-8", delay=True)

    def line(self, text: str) -> None:
        self.handle(logging.LogRecord("child", logging.INFO, "", 0, text, None, None))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


class Child:
    """One running program. Start it from a thread that lives as long as it should."""

    def __init__(self, program: Program, logs: Path, say: Say) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self.last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._handler = _Log(self.log)
        self._say = say
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._started_at = 0.0
        self._restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        command = list(self.program.command)
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", "--", *command]
        self.last_lines.clear()
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            command,
            env=dict(self.program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            umask=0o077,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                text = line.rstrip()
                self.last_lines.append(text)
                self._handler.line(text)
                if TROUBLE.search(text):
                    self._say(f"{self.program.name}: {text}")

    def wait_before_restart(self) -> float | None:
        """Seconds to wait before the next start, doubling; None when it has crashed too often to go on."""
        if time.monotonic() - self._started_at > STEADY_SECONDS:
            self._restarts = 0
        if self._restarts == RESTARTS_MAX:
            return None
        self._restarts += 1
        return float(BACK_OFF_SECONDS * 2 ** (self._restarts - 1))

    def bury(self) -> None:
        """Kill what a dead child left of its group, and read its last words."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=5)

    def stop(self, is_hurried: Callable[[], bool]) -> None:
        """Ask it to stop, wait as long as it may take (no longer when hurried), then leave nothing of it."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            deadline = time.monotonic() + self.program.patience_seconds
            while self._process.poll() is None and time.monotonic() < deadline and not is_hurried():
                time.sleep(0.05)
            self.bury()
            self._process = None
        self._handler.close()
