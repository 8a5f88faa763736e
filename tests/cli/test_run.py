"""`postmeter run` as a person meets it: a process that gets signals, and words on a terminal."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from postmeter.cli import COMMANDS, postmeter
from postmeter.cli.home import Home
from postmeter.cli.programs import Setting, preparation_of
from postmeter.db.embedded import EmbeddedPostgres
from tests.cli.small_house import pids_of
from tests.cli.waiting import eventually, free_port, is_alive

REPOSITORY = Path(__file__).resolve().parents[2]


def environment(home: Path, **more: str) -> dict[str, str]:
    names = ("POSTMETER_PORT", "POSTMETER_SIMULATOR_PORT", "POSTMETER_CONSOLE_PORT")
    ports = {name: str(free_port()) for name in names}
    return {**os.environ, **ports, "POSTMETER_HOME": str(home), **more}


@contextmanager
def running(home: Path, **more: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.cli.small_house"],
        cwd=REPOSITORY,
        env=environment(home, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it ended without saying {words!r}:\n{said}")


def everything_of(home: Path) -> list[int]:
    postmaster = int((home / "database" / "data" / "postmaster.pid").read_text().splitlines()[0])
    return [postmaster, *(pid for pids in pids_of(home).values() for pid in pids)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_being_asked_to_stop_stops_everything_and_is_no_error(home: Path, number: signal.Signals) -> None:
    with running(home) as process:
        read_until(process, "Ctrl-C")
        started = everything_of(home)
        process.send_signal(number)
        read_until(process, "Stopped. The data stays.")
        assert process.wait(60) == 0
    assert not [pid for pid in started if is_alive(pid)]
    assert (home / "diary" / "stopped").read_text().split() == ["web", "worker", "simulator"]
    assert not (home / "diary" / "interrupted").exists()


def test_even_a_killed_run_leaves_no_orphan_and_the_next_one_starts(home: Path) -> None:
    with running(home) as process:
        read_until(process, "Ctrl-C")
        started = everything_of(home)
        process.kill()
        eventually(lambda: not [pid for pid in started if is_alive(pid)])
    with running(home) as process:
        read_until(process, "Postmeter is ready")


def test_it_can_be_stopped_while_it_is_still_starting(home: Path) -> None:
    with running(home) as process:
        read_until(process, "Starting PostgreSQL")
        process.send_signal(signal.SIGINT)
        read_until(process, "Stopped.")
        assert process.wait(60) == 0
    with running(home) as process:
        read_until(process, "Postmeter is ready")


def test_two_homes_run_side_by_side(home: Path) -> None:
    with running(home / "a") as first, running(home / "b") as second:
        read_until(first, "Postmeter is ready")
        read_until(second, "Postmeter is ready")
        assert not {*everything_of(home / "a")} & {*everything_of(home / "b")}


class TestTheCommand:
    def postmeter(self, home: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "postmeter.cli", *words]
        return subprocess.run(command, cwd=REPOSITORY, env=environment(home, **more), capture_output=True, text=True, check=False)

    def test_a_refusal_is_one_line_on_stderr_and_exit_1(self, home: Path) -> None:
        done = self.postmeter(home, "run", POSTMETER_PORT="many")
        assert done.returncode == 1
        assert done.stderr == "postmeter: POSTMETER_PORT is 'many', which is not a port. Give a number from 1 to 65535.\n"

    def test_a_wrong_use_is_exit_2(self, home: Path) -> None:
        assert self.postmeter(home, "rnu").returncode == 2
        assert self.postmeter(home, "run", "--faster").returncode == 2

    def test_a_home_that_cannot_be_made_is_a_sentence(self, home: Path) -> None:
        home.parent.joinpath("a-file").write_text("")
        done = self.postmeter(home, "run", POSTMETER_HOME=str(home.parent / "a-file" / "home"))
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "a-file" in done.stderr

    def test_help_lists_every_command_and_loads_no_framework(self) -> None:
        script = "import sys; from postmeter.cli import postmeter; postmeter(['--help'], standalone_mode=False)"
        script += "; assert not {'django', 'psycopg', 'rich'} & {*sys.modules}"
        script += "; assert not {'django', 'psycopg', 'rich'} & {*sys.modules}"
        done = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True)
        assert all(name in done.stdout for name in COMMANDS)

    @pytest.mark.parametrize("name", COMMANDS)
    def test_every_listed_command_exists_and_explains_itself(self, name: str) -> None:
        result = CliRunner().invoke(postmeter, [name, "--help"])
        assert result.exit_code == 0, result.output

    def test_a_command_without_any_database_says_where_it_looked(self, home: Path) -> None:
        done = self.postmeter(home, "verify")
        assert done.returncode == 1
        assert done.stderr.startswith(f"postmeter: There is no database in {home}.")


def test_the_books_of_a_stopped_instance_can_be_verified(home: Path) -> None:
    house = Home(home)
    house.make()
    with EmbeddedPostgres(home, durable=False) as server:
        program = preparation_of(Setting(house, 8000, 8001, 8002, server.url))
        subprocess.run(program.command, env=program.environment, cwd=REPOSITORY, check=True)
    done = TestTheCommand().postmeter(home, "verify", "--json")
    assert done.returncode == 0, done.stderr
    assert '"customers": 1' in done.stdout
