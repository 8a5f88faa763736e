"""One running Postmeter: a home, a database, and the processes around it.

database    the embedded PostgreSQL, or the one that DATABASE_URL names
prepare     roles, migrations, partitions, demo data; ends before the others start
simulator   carrier, payment gateway and street of phones
worker      dispatch, relay, jobs
console     the operator's pages, on an address of their own
web         pages, API and callbacks on one address
"""

import contextlib
import http.client
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg

from postmeter.cli.home import Home
from postmeter.cli.processes import Child, Program, Say
from postmeter.cli.programs import Setting, preparation_of, programs_of, worker_environment
from postmeter.db.embedded import EmbeddedPostgres, exclusive, is_free, plain_words_for_the_disk
from postmeter.kit.refusals import Refusal

READY_PATH = "/readyz"
READY_SECONDS_MAX = 120.0
PORT_PATIENCE_SECONDS = 5.0
DATABASE_RESTARTS_MAX = 3
FREE_BYTES_MIN = 20_000_000


class CannotRun(Refusal):
    """Postmeter cannot run here."""

    code = "cannot_run"


class Instance:
    """Everything between `start()` and `stop()`; `look_after()` in between brings back what crashed.

    Tests put small programs in the place of ours.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int,
        simulator_port: int,
        console_port: int,
        database_url: str | None = None,
        say: Say,
        programs: Callable[[Setting], list[Program]] = programs_of,
        preparation: Callable[[Setting], Program] = preparation_of,
    ) -> None:
        self.home = Home(home)
        self.setting = Setting(self.home, port, simulator_port, console_port, database_url or "")
        self.say = say
        self.children: list[Child] = []
        self._programs = programs
        self._preparation = preparation
        self._postgres = None if database_url else EmbeddedPostgres(home, say=say)
        self._database_restarts = 0
        self._restart_at: dict[Child, float] = {}
        self._held = contextlib.ExitStack()

    # Starting

    def start(self) -> None:
        """Bring everything up, in order, and return when the web answers that it is ready. Refusals say what is in the way."""
        with plain_words_for_the_disk(self.home.path):
            self.home.make()
            self._held.enter_context(exclusive(self.home.lock, self.home.path))
            require_free(self.setting.port, "POSTMETER_PORT")
            require_free(self.setting.simulator_port, "POSTMETER_SIMULATOR_PORT")
            require_free(self.setting.console_port, "POSTMETER_CONSOLE_PORT")
            self._start_database()
            self._prepare()
            for program in self._programs(self.setting):
                child = Child(program, self.home.logs, self.say)
                self.children.append(child)
                child.start()
            self._held.enter_context(self.home.running(worker_environment(self.setting)))
        self._wait_until_ready()

    def _start_database(self) -> None:
        if self._postgres is not None:
            self.say("Starting PostgreSQL.")
            self.setting = replace(self.setting, owner_url=self._postgres.start())
            return
        try:
            with psycopg.connect(self.setting.owner_url, connect_timeout=10) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise CannotRun(
                f"DATABASE_URL names a database that does not let us in: {str(error).strip()}.",
                remedy="Correct it (it is the owner's address), or remove it to use the embedded PostgreSQL.",
            ) from error

    def _prepare(self) -> None:
        self.say("Bringing the database up to this version.")
        program = self._preparation(self.setting)
        done = subprocess.run(  # noqa: S603 - our own program
            list(program.command),
            env=dict(program.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=0o077,
            check=False,
        )
        log = self.home.logs / f"{program.name}.log"
        log.write_text(done.stdout)
        if done.returncode != 0:
            raise self._crash(program.name, done.returncode, done.stdout.splitlines()[-12:], log)

    def _wait_until_ready(self) -> None:
        self.say("Starting the web, the worker and the simulator.")
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.is_ready():
            self.look_after()
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"The web does not become ready at {self.setting.url}{READY_PATH}.",
                    remedy=f"Its log is {self.home.logs / 'web.log'}.",
                )
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether the web says that it and its database are ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.setting.port, timeout=5)
        try:
            connection.request("GET", READY_PATH)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    # Looking after

    def look_after(self) -> None:
        """Bring back what crashed, with a growing pause; refuse to go on when it does not help. Call it a few times a second."""
        if self._postgres is not None and not self._postgres.is_running:
            self._database_restarts += 1
            if self._database_restarts > DATABASE_RESTARTS_MAX:
                raise CannotRun(
                    "PostgreSQL ended again and again.", remedy=f"Its log is in {self._postgres.logs}.{self._disk_sentence()}"
                )
            self.say("PostgreSQL ended unexpectedly; starting it again.")
            self._postgres.start()
        now = time.monotonic()
        for child in self.children:
            if child in self._restart_at:
                if now >= self._restart_at[child]:
                    del self._restart_at[child]
                    child.start()
            elif child.exit_code is not None:
                self._plan_restart(child, now)

    def _plan_restart(self, child: Child, now: float) -> None:
        code = child.exit_code
        child.bury()
        pause = child.wait_before_restart()
        if pause is None:
            raise self._crash(child.program.name, code, list(child.last_lines), child.log)
        self.say(
            f"{child.program.name} ended unexpectedly ({_how(code)}); starting it again in {pause:.0f} s.{self._disk_sentence()}"
        )
        for line in list(child.last_lines)[-3:]:
            self.say(f"{child.program.name}: {line}")
        self._restart_at[child] = now + pause

    def _crash(self, name: str, code: int | None, lines: list[str], log: Path) -> CannotRun:
        words = "\n  ".join(lines) or "(it said nothing)"
        return CannotRun(
            f"{name} ended unexpectedly ({_how(code)}) and cannot go on. Its last words:\n  {words}",
            remedy=f"\nThe whole log is {log}.{self._disk_sentence()}",
        )

    def _disk_sentence(self) -> str:
        free = shutil.disk_usage(self.home.path).free
        return f" The disk is full ({free // 1_000_000} MB free): free some space." if free < FREE_BYTES_MIN else ""

    # Stopping

    def stop(self, is_hurried: Callable[[], bool] = lambda: False) -> None:
        """End what was started, the other way round, the database last. Safe to call at any time, and again."""
        for child in reversed(self.children):
            if child.exit_code is None and child.pid is not None:
                self.say(f"Stopping the {child.program.name}.")
            child.stop(is_hurried)
        self.children.clear()
        if self._postgres is not None:
            if self._postgres.is_running:
                self.say("Stopping PostgreSQL.")
            self._postgres.stop()
        self._held.close()


def require_free(port: int, variable: str) -> None:
    """A port must be ours to take; one that an earlier run is just giving back is waited for."""
    deadline = time.monotonic() + PORT_PATIENCE_SECONDS
    while not is_free(port):
        if time.monotonic() > deadline:
            raise CannotRun(
                f"Port {port} on 127.0.0.1 is in use by another program.",
                remedy=f"Stop that program, or choose another port, for example {variable}={port + 10}.",
            )
        time.sleep(0.1)


def _how(code: int | None) -> str:
    return f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
