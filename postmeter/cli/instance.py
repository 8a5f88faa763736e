"""One running Postmeter: a home, a database, and the processes around it.

    database    the embedded PostgreSQL, or the one that DATABASE_URL names
    prepare     roles, migrations, partitions, demo data; ends before the others start
    simulator   carrier, payment gateway and street of phones
    worker      dispatch, relay, jobs
    web         pages, API and callbacks on one address

Each process gets its own login and no more: only `prepare` sees the owner's address.
"""

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg

import postmeter
from postmeter.cli.home import Home
from postmeter.cli.processes import Child, Program, Say
from postmeter.db.embedded import EmbeddedPostgres, exclusive, is_free, plain_words_for_the_disk
from postmeter.kit.refusals import Refusal

READY_PATH = "/readyz"
READY_SECONDS_MAX = 120.0
PORT_PATIENCE_SECONDS = 5.0
DATABASE_RESTARTS_MAX = 3
FREE_BYTES_MIN = 20_000_000
OURS_ALONE = {
    "DATABASE_URL",
    "POSTMETER_OWNER_DATABASE_URL",
    "POSTMETER_DATABASE_URL",
    "POSTMETER_APP_PASSWORD",
    "POSTMETER_WORKER_PASSWORD",
}


Made = TypeVar("Made")
Build = Callable[["Instance"], Made]


class CannotRun(Refusal):
    """Postmeter cannot run here."""

    code = "cannot_run"


class Instance:
    """Everything between `start()` and `stop()`; `look_after()` in between brings back what crashed.

    `programs` builds the long-running programs from the instance; tests put small ones in their place.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int,
        simulator_port: int,
        database_url: str | None = None,
        say: Say,
        programs: "Build[list[Program]]",
        preparation: "Build[Program]",
    ) -> None:
        self.home = Home(home)
        self.port = port
        self.simulator_port = simulator_port
        self.say = say
        self.owner_url = database_url or ""
        self.children: list[Child] = []
        self._programs = programs
        self._preparation = preparation
        self._postgres = None if database_url else EmbeddedPostgres(home, say=say)
        self._database_restarts = 0
        self._restart_at: dict[Child, float] = {}
        self._held = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return os.environ.get("POSTMETER_PUBLIC_URL") or f"http://127.0.0.1:{self.port}"

    @property
    def simulator_url(self) -> str:
        return f"http://127.0.0.1:{self.simulator_port}"

    # Starting

    def start(self) -> None:
        """Bring everything up, in order, and return when the web answers that it is ready. Refusals say what is in the way."""
        with plain_words_for_the_disk(self.home.path):
            self.home.make()
            self._held.enter_context(exclusive(self.home.path / "run.lock", self.home.path))
            require_free(self.port, "POSTMETER_PORT")
            require_free(self.simulator_port, "POSTMETER_SIMULATOR_PORT")
            self._start_database()
            self._prepare()
            for program in self._programs(self):
                child = Child(program, self.home.logs, self.say)
                self.children.append(child)
                child.start()
            self._note_logins()
        self._wait_until_ready()

    def _start_database(self) -> None:
        if self._postgres is not None:
            self.say("Starting PostgreSQL.")
            self.owner_url = self._postgres.start()
            return
        try:
            with psycopg.connect(self.owner_url, connect_timeout=10) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise CannotRun(
                f"DATABASE_URL names a database that does not let us in: {str(error).strip()}.",
                remedy="Correct it (it is the owner's address), or remove it to use the embedded PostgreSQL.",
            ) from error

    def _prepare(self) -> None:
        self.say("Bringing the database up to this version.")
        program = self._preparation(self)
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

    def _note_logins(self) -> None:
        """What the other commands of this home need while it runs; gone with the instance."""
        path = self.home.path / "running.json"
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(worker_environment(self)))
        self._held.callback(path.unlink, missing_ok=True)

    def _wait_until_ready(self) -> None:
        self.say("Starting the web, the worker and the simulator.")
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not self.is_ready():
            self.look_after()
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"The web does not become ready at {self.url}{READY_PATH}.",
                    remedy=f"Its log is {self.home.logs / 'web.log'}.",
                )
            time.sleep(0.1)

    def is_ready(self) -> bool:
        """Whether the web says that it and its database are ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
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


# Who is told what


def preparation_of(instance: Instance) -> Program:
    secrets = instance.home.secrets()
    environment = {
        **_common(instance),
        "POSTMETER_OWNER_DATABASE_URL": instance.owner_url,
        "POSTMETER_APP_PASSWORD": secrets["POSTMETER_APP_PASSWORD"],
        "POSTMETER_WORKER_PASSWORD": secrets["POSTMETER_WORKER_PASSWORD"],
    }
    return Program("prepare", [sys.executable, "-m", "postmeter.cli", "prepare"], environment)


def programs_of(instance: Instance) -> list[Program]:
    """In the order of their start; they stop the other way round: first no new work, then what is under way, then the carrier."""
    python = [sys.executable, "-m"]
    granian = [*python, "granian", "--interface", "asgi", "--host", "127.0.0.1", "--port", str(instance.port), "--no-ws"]
    granian += ["--workers", "1", "--workers-kill-timeout", "8", "--log-level", "warning", "postmeter.config.asgi:application"]
    simulator = [*python, "postmeter.simulator", "--port", str(instance.simulator_port)]
    simulator += ["--data", str(instance.home.path / "simulator")]
    simulator += ["--stripe-webhook-url", f"http://127.0.0.1:{instance.port}/callbacks/stripe"]
    simulator += ["--twilio-inbound-url", f"http://127.0.0.1:{instance.port}/callbacks/twilio/inbound"]
    return [
        Program("simulator", simulator, _simulator_environment(instance), patience_seconds=5),
        Program("worker", [*python, "postmeter.config.worker"], worker_environment(instance), patience_seconds=40),
        Program("web", granian, _web_environment(instance), patience_seconds=10),
    ]


def worker_environment(instance: Instance) -> dict[str, str]:
    password = instance.home.secrets()["POSTMETER_WORKER_PASSWORD"]
    return _common(instance) | {"POSTMETER_DATABASE_URL": login(instance.owner_url, "worker", password)}


def _web_environment(instance: Instance) -> dict[str, str]:
    password = instance.home.secrets()["POSTMETER_APP_PASSWORD"]
    return _common(instance) | {"POSTMETER_DATABASE_URL": login(instance.owner_url, "app", password)}


def _simulator_environment(instance: Instance) -> dict[str, str]:
    ours = {name: value for name, value in _inherited().items() if not name.startswith("POSTMETER_")}
    theirs = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET")
    secrets = instance.home.secrets()
    return ours | {f"SIMULATOR_{name}": secrets[f"POSTMETER_{name}"] for name in theirs}


def _common(instance: Instance) -> dict[str, str]:
    secrets = {name: value for name, value in instance.home.secrets().items() if name not in OURS_ALONE}
    defaults = {"POSTMETER_TWILIO_BASE_URL": instance.simulator_url, "POSTMETER_STRIPE_BASE_URL": instance.simulator_url}
    return {
        **defaults,
        **_inherited(),
        **secrets,
        "POSTMETER_HOME": str(instance.home.path),
        "POSTMETER_PORT": str(instance.port),
        "POSTMETER_SIMULATOR_PORT": str(instance.simulator_port),
        "POSTMETER_SIMULATOR_URL": instance.simulator_url,
        "POSTMETER_PUBLIC_URL": instance.url,
    }


def _inherited() -> dict[str, str]:
    """Our own environment without the logins, and with this checkout first on Python's path."""
    kept = {name: value for name, value in os.environ.items() if name not in OURS_ALONE}
    checkout = str(Path(postmeter.__file__).parent.parent)
    path = os.pathsep.join(part for part in (checkout, os.environ.get("PYTHONPATH")) if part)
    return kept | {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def login(owner_url: str, role: str, password: str) -> str:
    """The address of the same database for the role `<database>_<role>` (see postmeter/db/roles.py)."""
    parts = urlsplit(owner_url)
    _, _, place = parts.netloc.rpartition("@")
    name = parts.path.lstrip("/")
    return urlunsplit(parts._replace(netloc=f"{name}_{role}:{quote(password, safe='')}@{place}"))


def running_environment(home: Path) -> Mapping[str, str]:
    """What another command needs to reach the instance that runs in this home; empty when none runs."""
    try:
        environment: dict[str, str] = json.loads((home / "running.json").read_text())
    except FileNotFoundError:
        return {}
    return {name: value for name, value in environment.items() if name.startswith("POSTMETER_")}
