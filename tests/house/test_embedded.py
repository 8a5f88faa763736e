"""The embedded PostgreSQL: whatever happens to it, it comes back with what was committed, or says what is in its way."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from postmeter.db import embedded, engine
from postmeter.db.embedded import EmbeddedPostgres, EmbeddedPostgresRefusal
from tests.house.places import place

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to become somebody else for PostgreSQL")


@pytest.fixture
def home() -> Iterator[Path]:
    with place() as folder:
        yield folder / "home"


def eventually(holds: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def one(url: str, statement: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return row[0]


def remember(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [word])


def remembered(url: str) -> list[str]:
    with psycopg.connect(url) as connection:
        return [word for (word,) in connection.execute("SELECT word FROM kept ORDER BY word")]


def postmaster_of(server: EmbeddedPostgres) -> int:
    return int((server.data / "postmaster.pid").read_text().splitlines()[0])


class TestAServer:
    def test_it_is_durable_and_checks_its_pages_and_asks_for_passwords(self, home: Path) -> None:
        with EmbeddedPostgres(home) as server:
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
                assert one(server.url, f"SELECT current_setting('{setting}')") == "on", setting
            assert one(
                server.url, "SELECT concat(datlocprovider, ' ', datlocale) FROM pg_database WHERE datname = 'postmeter'"
            ) == ("b C.UTF-8")
            assert str(one(server.url, "SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres'")).startswith(
                "SCRAM-SHA-256$"
            )
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                psycopg.connect(server.url.replace("postgres:", "postgres:x"))

    def test_it_listens_on_loopback_and_a_socket_that_nobody_else_can_open(self, home: Path) -> None:
        with EmbeddedPostgres(home) as server:
            assert one(server.url, "SELECT current_setting('listen_addresses')") == "127.0.0.1"
            folder = Path(str(one(server.url, "SELECT current_setting('unix_socket_directories')")))
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert (folder / f".s.PGSQL.{server.port}").is_socket()

    def test_a_home_with_a_very_long_path_still_gets_a_socket(self, home: Path) -> None:
        with EmbeddedPostgres(home / ("deep" * 25), durable=False) as server:
            folder = Path(str(one(server.url, "SELECT current_setting('unix_socket_directories')")))
            assert (folder / f".s.PGSQL.{server.port}").is_socket()
        shutil.rmtree(folder)

    def test_its_data_and_its_address_stay_from_start_to_start(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as server:
            first = server.url
            remember(first, "kept")
        assert not server.is_running
        with EmbeddedPostgres(home, durable=False) as server:
            assert server.url == first
            assert remembered(server.url) == ["kept"]

    def test_its_password_is_for_the_owner_of_the_home_alone(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False):
            assert stat.S_IMODE((home / "postgres.password").stat().st_mode) == 0o600
            assert stat.S_IMODE(home.stat().st_mode) & 0o007 == 0
            assert not list(home.glob("**/password.draft"))

    def test_its_log_lies_outside_its_data(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as server:
            with psycopg.connect(server.url) as connection, contextlib.suppress(psycopg.Error):
                connection.execute("SELECT no_such_column")
            assert server.data not in server.logs.parents
            eventually(lambda: any("no_such_column" in path.read_text() for path in server.logs.iterdir()))

    def test_two_homes_run_side_by_side(self, home: Path) -> None:
        with EmbeddedPostgres(home / "a", durable=False) as a, EmbeddedPostgres(home / "b", durable=False) as b:
            remember(a.url, "in a")
            remember(b.url, "in b")
            assert (remembered(a.url), remembered(b.url)) == (["in a"], ["in b"])

    def test_starting_twice_is_one_start_and_stopping_twice_is_one_stop(self, home: Path) -> None:
        server = EmbeddedPostgres(home, durable=False)
        assert server.start() == server.start()
        server.stop()
        server.stop()
        assert not server.is_running

    def test_secrets_of_our_environment_do_not_reach_it(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("POSTMETER_SECRET_KEY", "do-not-tell")
        monkeypatch.setenv("PGPORT", "1")
        with EmbeddedPostgres(home, durable=False) as server:
            assert b"do-not-tell" not in Path(f"/proc/{postmaster_of(server)}/environ").read_bytes()


class TestAfterACrash:
    def test_a_killed_server_comes_back_with_what_was_committed(self, home: Path) -> None:
        server = EmbeddedPostgres(home)
        remember(server.start(), "before the crash")
        os.kill(postmaster_of(server), signal.SIGKILL)
        eventually(lambda: not server.is_running)
        with server:
            assert remembered(server.url) == ["before the crash"]

    def test_a_session_that_outlives_its_killed_server_is_ended(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "ORPHAN_PATIENCE_SECONDS", 0.3)
        server = EmbeddedPostgres(home, durable=False)
        busy = psycopg.connect(server.start(), autocommit=True)
        session = busy.info.backend_pid

        def work() -> None:
            with pytest.raises(psycopg.Error):
                busy.execute("SELECT count(*) FROM generate_series(1, 1000000000000)")

        working = threading.Thread(target=work)
        working.start()
        eventually(lambda: one(server.url, f"SELECT state FROM pg_stat_activity WHERE pid = {session}") == "active")
        os.kill(postmaster_of(server), signal.SIGKILL)
        eventually(lambda: not server.is_running)
        try:
            assert one(server.start(), "SELECT 1") == 1
            working.join()
            assert session not in embedded._processes_in(server.data)
        finally:
            server.stop()
            busy.close()

    def test_when_its_starter_is_killed_it_shuts_down_by_itself(self, home: Path) -> None:
        script = (
            "import sys; from pathlib import Path; from postmeter.db.embedded import EmbeddedPostgres\n"
            "server = EmbeddedPostgres(Path(sys.argv[1])); print(server.start(), flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", script, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as starter:
            assert starter.stdout is not None
            remember(starter.stdout.readline().strip(), "said before the kill")
            pid = int((home / "database" / "data" / "postmaster.pid").read_text().splitlines()[0])
            starter.kill()
        with EmbeddedPostgres(home) as server:
            assert remembered(server.url) == ["said before the kill"]
            assert postmaster_of(server) != pid

    def test_a_pid_file_that_names_a_stranger_does_not_stop_it(self, home: Path) -> None:
        server = EmbeddedPostgres(home, durable=False)
        server.start()
        pid_file, words = server.data / "postmaster.pid", (server.data / "postmaster.pid").read_text()
        server.stop()
        with server._account.popen(["sleep", "300"]) as stranger:
            pid_file.write_text("\n".join([str(stranger.pid), *words.splitlines()[1:]]) + "\n")
            server._account.give(pid_file)
            try:
                assert one(server.start(), "SELECT 1") == 1
                assert stranger.poll() is None
            finally:
                server.stop()
                stranger.kill()

    def test_an_interrupted_first_start_is_forgotten(self, home: Path) -> None:
        (home / "database" / "data.draft").mkdir(parents=True)
        (home / "database" / "data.draft" / "PG_VERSION").write_text("18\n")
        with EmbeddedPostgres(home, durable=False) as server:
            assert one(server.url, "SELECT 1") == 1


class TestRefusals:
    def test_a_home_in_use_names_the_process_that_uses_it(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as server:
            with pytest.raises(EmbeddedPostgresRefusal, match=rf"already runs in .*process {os.getpid()}"):
                EmbeddedPostgres(home).start()
            assert one(server.url, "SELECT 1") == 1

    def test_a_given_port_in_use_is_refused_and_a_chosen_one_is_chosen_anew(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as server:
            chosen = server.port
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections to it may just be closing
            other.bind(("127.0.0.1", chosen))
            other.listen()
            with pytest.raises(EmbeddedPostgresRefusal, match=f"Port {chosen} .*in use"):
                EmbeddedPostgres(home, chosen).start()
            with EmbeddedPostgres(home, durable=False) as server:
                assert server.port != chosen

    def test_a_folder_with_other_files_is_left_alone(self, home: Path) -> None:
        (home / "database" / "data").mkdir(parents=True)
        (home / "database" / "data" / "holiday.jpg").write_text("")
        with pytest.raises(EmbeddedPostgresRefusal, match="not a PostgreSQL database"):
            EmbeddedPostgres(home).start()
        assert [path.name for path in (home / "database" / "data").iterdir()] == ["holiday.jpg"]

    @pytest.mark.parametrize("version", ["15", "99"])
    def test_data_of_another_version_is_refused_with_both_versions(self, home: Path, version: str) -> None:
        (home / "database" / "data").mkdir(parents=True)
        (home / "database" / "data" / "PG_VERSION").write_text(f"{version}\n")
        with pytest.raises(EmbeddedPostgresRefusal, match=rf"written by PostgreSQL {version}; this is PostgreSQL \d\d"):
            EmbeddedPostgres(home).start()

    def test_a_lost_password_is_said(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False):
            pass
        (home / "postgres.password").unlink()
        with pytest.raises(EmbeddedPostgresRefusal, match=r"password is gone.*postgres\.password"):
            EmbeddedPostgres(home).start()
        assert not (home / "postgres.password").exists()

    def test_binaries_that_are_not_there_are_refused(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PG_BIN", "/nowhere")
        with pytest.raises(EmbeddedPostgresRefusal, match="/nowhere has no initdb"):
            EmbeddedPostgres(home).start()

    def test_a_machine_without_the_wheel_is_told_what_to_do(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(engine.importlib.util, "find_spec", lambda _name: None)
        with pytest.raises(EmbeddedPostgresRefusal, match="DATABASE_URL"):
            EmbeddedPostgres(home).start()

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            ("PostgreSQL) 15.9", "is PostgreSQL 15; Postmeter needs 16"),
            ("Exec format error", "does not run on this machine"),
        ],
    )
    def test_an_engine_that_is_too_old_or_foreign_is_refused(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, words: str, sentence: str
    ) -> None:
        binaries = scripted_engine(home.parent, f'echo "postgres ({words}"')
        monkeypatch.setenv("PG_BIN", str(binaries))
        with pytest.raises(EmbeddedPostgresRefusal, match=sentence):
            EmbeddedPostgres(home).start()

    def test_a_full_disk_is_said(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        script = """case "$*" in
            --version) echo "postgres (PostgreSQL) 18.6";;
            *) echo "could not write: No space left on device"; exit 1;;
        esac"""
        monkeypatch.setenv("PG_BIN", str(scripted_engine(home.parent, script)))
        with pytest.raises(EmbeddedPostgresRefusal, match=r"is too full .*Free some space"):
            EmbeddedPostgres(home).start()
        assert not (home / "database" / "data").exists()

    def test_after_a_refusal_the_home_is_free_again(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as wrong, pytest.raises(EmbeddedPostgresRefusal):
            wrong.setenv("PG_BIN", "/nowhere")
            EmbeddedPostgres(home).start()
        with EmbeddedPostgres(home, durable=False) as server:
            assert server.is_running


def scripted_engine(folder: Path, script: str) -> Path:
    """Binaries that say what a test wants to hear."""
    binaries = folder / "bin"
    binaries.mkdir(mode=0o755)
    for name in ("initdb", "postgres"):
        (binaries / name).write_text(f"#!/bin/sh\n{script}\n")
        (binaries / name).chmod(0o755)
    return binaries


def as_nobody(work: Callable[[], object]) -> str:
    """Run `work` in a forked process that has given up being root; answers what it raised, or nothing."""

    def child(pipe: "multiprocessing.connection.Connection") -> None:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            work()
            pipe.send("")
        except BaseException as error:
            pipe.send(f"{type(error).__name__}: {error}")

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside xdist's threads: the child only does this
        process.start()
    theirs.close()
    try:
        return str(ours.recv())
    finally:
        process.join()
        ours.close()


@as_root
class TestAsRoot:
    def test_the_server_is_not_root_and_the_home_opens_for_it_alone(self, home: Path) -> None:
        with EmbeddedPostgres(home, durable=False) as server:
            assert Path(f"/proc/{postmaster_of(server)}").stat().st_uid != 0
            assert server.data.stat().st_uid != 0
            assert server.data.parent == home / "database"
            assert stat.S_IMODE(home.stat().st_mode) == 0o710

    def test_behind_a_closed_folder_the_data_lies_elsewhere_and_the_home_says_where(self) -> None:
        with place(mode=0o700) as closed:
            home = closed / "clone" / ".postmeter"
            with EmbeddedPostgres(home, durable=False) as server:
                remember(server.url, "kept")
                assert stat.S_IMODE(closed.stat().st_mode) == 0o700
                assert stat.S_IMODE(home.stat().st_mode) == 0o700
                assert (home / "database").readlink() == server.data.parent
                assert engine.SYSTEM_FOLDER in server.data.parents
                assert str(server.data.parent) in (home / "WHERE-IS-THE-DATABASE.txt").read_text()
            with EmbeddedPostgres(home, durable=False) as server:
                assert remembered(server.url) == ["kept"]

    def test_a_deleted_home_starts_afresh_and_the_old_data_is_set_aside(self) -> None:
        with place(mode=0o700) as closed:
            home, said = closed / ".postmeter", list[str]()
            with EmbeddedPostgres(home, durable=False) as server:
                remember(server.url, "of the old home")
                folder = server.data.parent
            shutil.rmtree(home)
            try:
                with EmbeddedPostgres(home, durable=False, say=said.append) as server:
                    assert one(server.url, "SELECT to_regclass('kept') IS NULL") is True
                aside = list(folder.parent.glob(f"{folder.name}-left-*"))
                assert len(aside) == 1
                assert (aside[0] / "data" / "PG_VERSION").exists()
                assert any(str(aside[0]) in sentence for sentence in said)
            finally:
                for left in folder.parent.glob(f"{folder.name}-left-*"):
                    shutil.rmtree(left)

    def test_a_copied_home_cannot_start_a_second_server_on_the_same_data(self) -> None:
        with place(mode=0o700) as closed, EmbeddedPostgres(closed / "one", durable=False) as server:
            shutil.copytree(closed / "one", closed / "two", symlinks=True)
            with pytest.raises(EmbeddedPostgresRefusal, match="already runs"):
                EmbeddedPostgres(closed / "two", durable=False).start()
            assert one(server.url, "SELECT 1") == 1

    def test_binaries_behind_a_closed_folder_are_copied_once(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        installed = engine._binaries_of_the_wheel().parent.parent
        monkeypatch.setattr(engine, "SYSTEM_FOLDER", home.parent / "system")
        with place(mode=0o700) as closed:
            for name in (installed.name, f"{installed.name}.libs"):
                shutil.copytree(installed.with_name(name), closed / name, copy_function=os.link, symlinks=True)
            monkeypatch.setattr(engine, "_binaries_of_the_wheel", lambda: closed / installed.name / "pginstall" / "bin")
            for _ in range(2):
                with EmbeddedPostgres(home, durable=False) as server:
                    program = Path(f"/proc/{postmaster_of(server)}/exe").readlink()
                    assert home.parent / "system" in program.parents
            assert stat.S_IMODE(closed.stat().st_mode) == 0o700
            assert len(list((home.parent / "system").iterdir())) == 1

    def test_data_of_an_ordinary_user_is_served_as_that_user(self, home: Path) -> None:
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        monkey = reachable_engine()
        assert as_nobody(lambda: serve_once(home, monkey, "by nobody")) == ""
        with EmbeddedPostgres(home, durable=False) as server:
            assert remembered(server.url) == ["by nobody"]
            assert Path(f"/proc/{postmaster_of(server)}").stat().st_uid == NOBODY

    def test_an_ordinary_user_needs_nothing_but_a_closed_folder_of_their_own(self) -> None:
        with place(mode=0o700) as closed:
            os.chown(closed, NOBODY, NOBODY)
            binaries = reachable_engine()
            assert as_nobody(lambda: serve_once(closed / "clone" / ".postmeter", binaries, "first")) == ""
            assert as_nobody(lambda: serve_once(closed / "clone" / ".postmeter", binaries, "second")) == ""
            assert (closed / "clone" / ".postmeter" / "database").is_dir()
            assert not (closed / "clone" / ".postmeter" / "database").is_symlink()

    def test_an_ordinary_user_hears_which_folder_may_not_be_written(self, home: Path) -> None:
        home.mkdir(mode=0o755)
        said = as_nobody(lambda: EmbeddedPostgres(home).start())
        assert said.startswith("EmbeddedPostgresRefusal")
        assert f"may not be written or entered by you (user id {NOBODY})" in said


def reachable_engine() -> Path:
    """A bin folder that an ordinary user can enter, wherever this checkout lies."""
    account = engine.account_for(Path("/nonexistent"))
    return engine.engine_for(account).binaries


def serve_once(home: Path, binaries: Path, word: str) -> None:
    os.environ["PG_BIN"] = str(binaries)
    with EmbeddedPostgres(home, durable=False) as server:
        remember(server.url, word)
