"""The embedded PostgreSQL: one durable server for one home folder, on this machine only.

    home/
      postgres.password   the owner's password (0600)
      postgres.port       the port chosen when none was given
      database/           a folder; or, when the server's user cannot reach it, a link to one below /var/lib/postmeter
        data/             PostgreSQL's own
        log/              its log, a file a weekday, overwritten after a week
        postgresql.conf   written by us at each start; `ALTER SYSTEM` overrides it

The server listens on 127.0.0.1 and on a socket, asks for passwords by SCRAM, and is a child of ours: when we die, however we die,
the kernel asks it for a fast shutdown. A server that was killed recovers at the next start, for as long as that takes.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg

from postmeter.db.engine import (
    CLEAN_ENVIRONMENT,
    SYSTEM_FOLDER,
    Account,
    EmbeddedPostgresRefusal,
    Engine,
    account_for,
    engine_for,
    make_system_folder,
)

DATABASE = "postmeter"
OWNER = "postgres"
PROGRESS_SECONDS = 3.0
ORPHAN_PATIENCE_SECONDS = 5.0
FAST_SHUTDOWN_SECONDS = 120.0
SOCKET_PATH_BYTES_MAX = 107  # sun_path in unix(7)
LOG_LINES_SHOWN = 8

CONFIGURATION = """\
# Written at each start. To change a setting: ALTER SYSTEM SET ..., which wins over this file.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
password_encryption = 'scram-sha-256'
max_connections = 200

# A small server that shares two cores with the application.
shared_buffers = '256MB'
effective_cache_size = '1GB'
maintenance_work_mem = '128MB'
work_mem = '8MB'
max_wal_size = '2GB'
min_wal_size = '256MB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
jit = off

# What was acknowledged stays.
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}

timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
logging_collector = on
log_directory = '{logs}'
log_filename = 'postgres-%a.log'
log_rotation_age = '1d'
log_rotation_size = 0
log_truncate_on_rotation = on
log_line_prefix = '%m [%p] %q%u@%d '
log_checkpoints = off
"""


def silence(_sentence: str) -> None:
    """Say nothing about progress."""


class EmbeddedPostgres:
    """One server for one home. `start()` answers the owner's address; a context manager starts and stops.

    The thread that starts the server must outlive it: the kernel's word "your parent died" is about threads.
    `durable=False` is for throw-away clusters of tests: nothing is forced to disk. `say` receives a sentence when a step is long.
    """

    def __init__(
        self, home: Path, port: int | None = None, *, durable: bool = True, say: Callable[[str], None] = silence
    ) -> None:
        self.home = home.resolve()
        self.port = port or 0
        self._port_given = port is not None
        self._durable = durable
        self._say = say
        self._locks = contextlib.ExitStack()
        self._process: subprocess.Popen[str] | None = None
        self._account: Account
        self._engine: Engine
        self._folder: Path

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def engine(self) -> Engine:
        """The binaries that it runs on; only after a start."""
        return self._engine

    @property
    def url(self) -> str:
        """The owner's address; only after a start."""
        return f"postgresql://{OWNER}:{self._password()}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def data(self) -> Path:
        return self._folder / "data"

    @property
    def logs(self) -> Path:
        return self._folder / "log"

    def start(self) -> str:
        """Start the server, recovering what a crash left, and answer the owner's address.

        Raises EmbeddedPostgresRefusal with what is in the way and what to do about it. Started already: the same address.
        """
        if self.is_running:
            return self.url
        self.stop()
        try:
            with plain_words_for_the_disk(self.home):
                self._find_place()
                self._clear_leftovers()
                if not self._has_data():
                    self._create_data()
                self._launch()
                self._ensure_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Fast shutdown: sessions end, what is committed is on disk. Harmless when nothing runs."""
        if self._process is not None:
            _end(self._process, self._say)
            self._process = None
        self._locks.close()

    # The place

    def _find_place(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._locks.enter_context(exclusive(self.home / "postgres.lock", self.home))
        place = self.home / "database"
        self._account = account_for(place / "data")
        self._engine = engine_for(self._account)
        self._folder = self._reachable(place)
        # A copied home leads to the same database through its link: only the lock beside the data can tell.
        self._locks.enter_context(exclusive(self._folder / "lock", self.home))
        self.logs.mkdir(mode=0o700, exist_ok=True)
        self._account.give(self.logs)

    def _reachable(self, place: Path) -> Path:
        """The folder of the database: in the home when the server's user can get there, else below /var/lib/postmeter."""
        if place.is_symlink():
            return place.resolve()
        if not self._account.is_ours and self._account.may_enter(self.home.parent):
            # Only the server's user may pass through our own folder; the folders above stay as they are.
            os.chown(self.home, -1, self._account.gid)
            self.home.chmod(self.home.stat().st_mode | 0o010)
        if self._account.may_enter(self.home):
            place.mkdir(mode=0o711, exist_ok=True)
            place.chmod(0o711)
            return place
        if place.exists():
            raise EmbeddedPostgresRefusal(
                f"The user {self._account.name}, as whom PostgreSQL runs, can no longer reach {place}.",
                remedy="Move the folder back to where it was reachable, or let POSTMETER_HOME name such a place.",
            )
        return self._elsewhere(place)

    def _elsewhere(self, place: Path) -> Path:
        make_system_folder()
        folder = SYSTEM_FOLDER / hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
        if folder.exists():
            aside = folder.with_name(f"{folder.name}-left-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
            with exclusive(folder / "lock", self.home):
                folder.rename(aside)
            self._say(f"An earlier database of this home was kept in {aside}; delete it when you no longer need it.")
        folder.mkdir(mode=0o711)
        folder.chmod(0o711)
        place.symlink_to(folder)
        (self.home / "WHERE-IS-THE-DATABASE.txt").write_text(
            f"The database lies in {folder}, because PostgreSQL does not run as root and its user {self._account.name} "
            f"may not enter {self.home.parent}. Whoever deletes or backs up this folder wants that one too.\n"
        )
        return folder

    # What a crash left

    def _clear_leftovers(self) -> None:
        """End servers and sessions that outlived their starter; the locks prove that nobody else looks after them."""
        began = asked = time.monotonic()
        while leftovers := _processes_in(self.data.resolve()):
            waited = time.monotonic() - began
            postmaster = _postmaster_of(self.data)
            if postmaster not in leftovers:
                if waited > ORPHAN_PATIENCE_SECONDS:  # sessions of a killed server mostly end by themselves
                    _signal(leftovers, signal.SIGKILL if waited > 2 * ORPHAN_PATIENCE_SECONDS else signal.SIGQUIT)
            elif asked == began or time.monotonic() - asked > PROGRESS_SECONDS:
                asked = time.monotonic()
                self._say("An earlier PostgreSQL of this home is still shutting down.")
                _signal({postmaster}, signal.SIGQUIT if waited > FAST_SHUTDOWN_SECONDS else signal.SIGINT)
            time.sleep(0.05)
        # Nobody works in the folder, so its pid belongs to nobody or, reused, to a stranger, which PostgreSQL could not tell.
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    # The data

    def _has_data(self) -> bool:
        version = self.data / "PG_VERSION"
        if version.exists():
            major = version.read_text().strip()
            if major != str(self._engine.major):
                raise EmbeddedPostgresRefusal(
                    f"{self.data} was written by PostgreSQL {major}; this is PostgreSQL {self._engine.major}.",
                    remedy=f"Let PG_BIN name the bin folder of PostgreSQL {major}, or move the data with pg_upgrade.",
                )
            if not (self.home / "postgres.password").exists():
                raise EmbeddedPostgresRefusal(
                    f"{self.data} holds a database, but its password is gone: {self.home / 'postgres.password'} is missing.",
                    remedy="Restore that file from a backup, or let POSTMETER_HOME name another folder.",
                )
            return True
        if self.data.exists() and any(self.data.iterdir()):
            raise EmbeddedPostgresRefusal(
                f"{self.data} holds files that are not a PostgreSQL database; we leave them alone.",
                remedy="Move them away, or let POSTMETER_HOME name another folder.",
            )
        return False

    def _create_data(self) -> None:
        """initdb into a draft that gets its name when it is complete: an interrupted first start leaves nothing half done."""
        self._say("Creating the database.")
        draft, words = self._folder / "data.draft", self._folder / "password.draft"
        shutil.rmtree(draft, ignore_errors=True)
        words.unlink(missing_ok=True)
        try:
            draft.mkdir(mode=0o700)
            words.touch(mode=0o600)
            words.write_text(self._password())
            self._account.give(draft)
            self._account.give(words)
            command: list[str | Path] = [
                self._engine.initdb,
                "--pgdata",
                draft,
                "--username",
                OWNER,
                "--pwfile",
                words,
                "--auth",
                "scram-sha-256",
            ]
            command += ["--encoding", "UTF8", "--data-checksums", "--no-instructions", *self._locale()]
            made = self._account.run(command if self._durable else [*command, "--no-sync"])
            if made.returncode != 0:
                raise self._failure("PostgreSQL could not create its data folder", made.stdout)
            draft.replace(self.data)
        finally:
            words.unlink(missing_ok=True)
            shutil.rmtree(draft, ignore_errors=True)

    def _locale(self) -> list[str]:
        """C.UTF-8 in every version: sorting by code point does not change with the system's libraries."""
        if self._engine.major < 17:
            return ["--locale", "C.UTF-8"]
        return ["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]

    def _password(self) -> str:
        path = self.home / "postgres.password"
        if not path.exists():
            draft = path.with_suffix(".draft")
            draft.unlink(missing_ok=True)
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(24))
            draft.replace(path)
        return path.read_text()

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url.removesuffix(DATABASE) + "postgres", autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f"CREATE DATABASE {DATABASE}")

    # The server

    def _launch(self) -> None:
        """Start and wait until it is ready; a port that we chose and lost to somebody else is chosen anew."""
        for attempt in (1, 2, 3):
            self._choose_port()
            self._configure()
            marks = {path: path.stat().st_size for path in self.logs.iterdir()}
            self._process = self._spawn()
            if self._is_ready(self._process):
                return
            said = self._said_since(marks)
            if "Address already in use" not in said or self._port_given or attempt == 3:
                raise self._failure("PostgreSQL does not start", said)
            (self.home / "postgres.port").unlink(missing_ok=True)

    def _choose_port(self) -> None:
        remembered = self.home / "postgres.port"
        if self._port_given:
            if not is_free(self.port):
                raise EmbeddedPostgresRefusal(
                    f"Port {self.port} on 127.0.0.1, meant for PostgreSQL, is in use by another program.",
                    remedy="Stop that program or choose another port.",
                )
            return
        port = int(remembered.read_text()) if remembered.exists() else 0
        self.port = port if port and is_free(port) else free_port()
        remembered.write_text(str(self.port))

    def _configure(self) -> None:
        text = CONFIGURATION.format(
            port=self.port, sockets=_quoted(self._sockets()), logs=_quoted(self.logs), durable="on" if self._durable else "off"
        )
        path = self._folder / "postgresql.conf"
        path.write_text(text)
        path.chmod(0o644)

    def _sockets(self) -> Path:
        """Beside the data, unless that path is too long for a socket's name: then a folder of our own below /tmp."""
        folder = self._folder / "socket"
        if len(os.fsencode(folder / ".s.PGSQL.65535.lock")) > SOCKET_PATH_BYTES_MAX:
            folder = Path(tempfile.gettempdir(), f"postmeter-{hashlib.sha256(os.fsencode(self._folder)).hexdigest()[:12]}")
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.lstat().st_uid not in {os.geteuid(), self._account.uid}:
            raise EmbeddedPostgresRefusal(f"{folder} belongs to somebody else.", remedy="Remove it.")
        self._account.give(folder)
        return folder

    def _spawn(self) -> "subprocess.Popen[str]":
        command: list[str | Path] = [
            self._engine.postgres,
            "-D",
            self.data,
            "-c",
            f"config_file={self._folder / 'postgresql.conf'}",
        ]
        command += ["-c", f"hba_file={self.data / 'pg_hba.conf'}", "-c", f"ident_file={self.data / 'pg_ident.conf'}"]
        if setpriv := shutil.which("setpriv", path=CLEAN_ENVIRONMENT["PATH"]):
            command = [Path(setpriv), "--pdeathsig", "INT", "--", *command]
        with (self._folder / "start.log").open("w") as words:
            # A session of its own: Ctrl-C is for us, and we stop the server last.
            return self._account.popen(
                command, stdin=subprocess.DEVNULL, stdout=words, stderr=subprocess.STDOUT, start_new_session=True
            )

    def _is_ready(self, process: "subprocess.Popen[str]") -> bool:
        """Wait for as long as recovery takes. False when the server ended instead."""
        began = said = time.monotonic()
        while process.poll() is None:
            if _status_of(self.data, process.pid) == "ready":
                return True
            if time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                self._say(f"PostgreSQL is recovering what was not yet in its files ({said - began:.0f} s).")
            time.sleep(0.02)
        return False

    def _said_since(self, marks: dict[Path, int]) -> str:
        said = (self._folder / "start.log").read_text(errors="replace")
        for path in sorted(self.logs.iterdir()):
            with path.open(errors="replace") as log:
                log.seek(min(marks.get(path, 0), path.stat().st_size))
                said += log.read()
        return said

    def _failure(self, what: str, said: str) -> EmbeddedPostgresRefusal:
        if "No space left on device" in said:
            return _disk_full(self.home)
        lines = [line for line in said.splitlines() if line.strip()][-LOG_LINES_SHOWN:]
        return EmbeddedPostgresRefusal(
            f"{what}. Its last words:\n  " + "\n  ".join(lines), remedy=f"\nIts log is in {self.logs}."
        )


def _end(process: "subprocess.Popen[str]", say: Callable[[str], None]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    began = time.monotonic()
    while True:
        try:
            process.wait(PROGRESS_SECONDS)
            return
        except subprocess.TimeoutExpired:
            say("PostgreSQL is writing its last pages.")
            if time.monotonic() - began > FAST_SHUTDOWN_SECONDS:
                process.send_signal(signal.SIGQUIT)  # nothing committed is lost: the next start recovers


@contextlib.contextmanager
def exclusive(path: Path, home: Path) -> Iterator[None]:
    """Hold a lock that dies with the process; the refusal names the process that holds it."""
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise EmbeddedPostgresRefusal(
                f"Postmeter already runs in {home} (process {lock.read().strip() or 'unknown'}).",
                remedy="Stop that one first, or let POSTMETER_HOME name another folder for a second one beside it.",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextlib.contextmanager
def plain_words_for_the_disk(home: Path) -> Iterator[None]:
    """Turn what the system says of folders and disks into refusals that a person can act on."""
    try:
        yield
    except PermissionError as error:
        raise EmbeddedPostgresRefusal(
            f"{error.filename or home} may not be written or entered by {_own_name()}.",
            remedy="Let POSTMETER_HOME name a folder of your own, or start as the user to whom this one belongs.",
        ) from error
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise _disk_full(home) from error
        if error.errno in {errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP}:
            raise EmbeddedPostgresRefusal(
                f"{error.filename or home} cannot be a folder of ours: {os.strerror(error.errno).lower()}.",
                remedy="Let POSTMETER_HOME name another folder.",
            ) from error
        raise


def _own_name() -> str:
    return "root" if os.geteuid() == 0 else f"you (user id {os.geteuid()})"


def _disk_full(home: Path) -> EmbeddedPostgresRefusal:
    free = shutil.disk_usage(home).free // 1_000_000
    return EmbeddedPostgresRefusal(
        f"The disk that holds {home} is too full ({free} MB free).",
        remedy="Free some space (a new database needs about 100 MB) and start again; nothing that was committed is lost.",
    )


def _processes_in(data: Path) -> set[int]:
    """The processes whose working folder is the data folder: the server and its sessions, by PostgreSQL's own habit."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):
            if link.readlink() == data:
                found.add(int(link.parent.name))
    return found


def _postmaster_of(data: Path) -> int:
    """The process id in the server's lock file; 0 when there is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return 0


def _status_of(data: Path, pid: int) -> str:
    """What the server with this process id says of itself in the eighth line of its lock file: starting, ready, stopping."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = (data / "postmaster.pid").read_text().splitlines()
        return lines[7].strip() if int(lines[0]) == pid else ""
    return ""


def _signal(processes: set[int], number: signal.Signals) -> None:
    for pid in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
