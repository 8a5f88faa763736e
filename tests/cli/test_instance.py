"""Starting, looking after and stopping: on a real embedded PostgreSQL, with tiny programs in place of the big ones."""

import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from rich.console import Console

from postmeter.cli import instance as instances
from postmeter.cli import processes
from postmeter.cli.home import SECRETS, Home
from postmeter.cli.instance import CannotRun, Instance
from postmeter.cli.processes import Child, Program
from postmeter.cli.programs import Setting, login, preparation_of, programs_of
from postmeter.cli.run import panel_of
from postmeter.kit.refusals import Refusal
from tests.cli import small_house
from tests.cli.waiting import eventually, free_port, is_alive

Make = Callable[..., Instance]


@pytest.fixture
def make(home: Path) -> Iterator[Make]:
    made: list[Instance] = []

    def make(**options: object) -> Instance:
        settings: dict[str, object] = {
            "port": free_port(),
            "simulator_port": free_port(),
            "console_port": free_port(),
            "say": said.append,
            "programs": small_house.programs,
            "preparation": small_house.preparation,
        }
        made.append(Instance(home, **{**settings, **options}))  # type: ignore[arg-type]
        return made[-1]

    said: list[str] = []
    make.said = said  # type: ignore[attr-defined]
    yield make
    for instance in made:
        instance.stop()


def look_until(instance: Instance, holds: Callable[[], object]) -> None:
    def look() -> object:
        instance.look_after()
        return holds()

    eventually(look)


class TestRunning:
    def test_what_it_started_is_stopped_in_order_and_nothing_is_left(self, make: Make, home: Path) -> None:
        instance = make()
        instance.start()
        assert instance.is_ready()
        pids = [pid for pair in small_house.pids_of(home).values() for pid in pair]
        assert len(pids) == 6
        assert all(is_alive(pid) for pid in pids)
        instance.stop()
        assert (home / "diary" / "stopped").read_text().split() == ["web", "worker", "simulator"]
        assert not [pid for pid in pids if is_alive(pid)]
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(instance.setting.owner_url)

    def test_a_crashed_process_is_named_and_comes_back(self, make: Make, home: Path) -> None:
        instance = make()
        instance.start()
        worker, helper = small_house.pids_of(home)["worker"]
        os.kill(worker, signal.SIGKILL)
        look_until(instance, lambda: small_house.pids_of(home)["worker"][0] not in {worker})
        assert not is_alive(helper)
        assert any("worker ended unexpectedly (killed by signal 9)" in sentence for sentence in make.said)  # type: ignore[attr-defined]

    def test_a_process_that_crashes_again_and_again_ends_the_run_with_its_last_words(
        self, make: Make, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "BACK_OFF_SECONDS", 0.01)

        def with_a_broken_worker(setting: Setting) -> list[Program]:
            simulator, worker, web = small_house.programs(setting)
            script = "import sys; print('no such table: letters'); sys.exit(3)"
            return [simulator, replace(worker, command=[sys.executable, "-c", script]), web]

        instance = make(programs=with_a_broken_worker)
        with pytest.raises(
            CannotRun, match=r"(?s)worker ended unexpectedly \(exit code 3\).*no such table: letters.*worker\.log"
        ):
            instance.start()
            look_until(instance, lambda: False)

    def test_a_killed_database_comes_back_without_its_users_being_restarted(self, make: Make, home: Path) -> None:
        instance = make()
        instance.start()
        before = small_house.pids_of(home)
        os.kill(int((home / "database" / "data" / "postmaster.pid").read_text().splitlines()[0]), signal.SIGKILL)
        assert instance._postgres is not None
        eventually(lambda: instance._postgres and not instance._postgres.is_running)
        instance.look_after()
        with psycopg.connect(instance.setting.owner_url) as connection:
            connection.execute("SELECT 1")
        assert small_house.pids_of(home) == before

    def test_a_preparation_that_fails_says_why_and_leaves_nothing_running(self, make: Make) -> None:
        def fails(_setting: Setting) -> Program:
            return Program(
                "prepare", [sys.executable, "-c", "import sys; print('migration 7 says no'); sys.exit(1)"], dict(os.environ)
            )

        instance = make(preparation=fails)
        with pytest.raises(CannotRun, match=r"(?s)prepare ended.*migration 7 says no"):
            instance.start()
        instance.stop()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(instance.setting.owner_url)

    def test_a_second_run_of_the_same_home_is_refused_and_the_first_goes_on(self, make: Make) -> None:
        first = make()
        first.start()
        with pytest.raises(Refusal, match=rf"already runs in .*process {os.getpid()}"):
            make().start()
        assert first.is_ready()

    @pytest.mark.parametrize(
        ("which", "variable"),
        [("port", "POSTMETER_PORT"), ("simulator_port", "POSTMETER_SIMULATOR_PORT"), ("console_port", "POSTMETER_CONSOLE_PORT")],
    )
    def test_a_port_in_use_is_named_with_what_to_set(
        self, make: Make, monkeypatch: pytest.MonkeyPatch, which: str, variable: str
    ) -> None:
        monkeypatch.setattr(instances, "PORT_PATIENCE_SECONDS", 0)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            taken = other.getsockname()[1]
            with pytest.raises(CannotRun, match=rf"Port {taken} .*in use.*{variable}="):
                make(**{which: taken}).start()

    def test_a_database_address_that_leads_nowhere_is_said(self, make: Make) -> None:
        with pytest.raises(CannotRun, match="DATABASE_URL names a database that does not let us in"):
            make(database_url=f"postgresql://postgres:x@127.0.0.1:{free_port()}/postmeter").start()

    def test_another_database_is_used_and_left_running(self, make: Make, home: Path) -> None:
        from postmeter.db.embedded import EmbeddedPostgres

        with EmbeddedPostgres(home.parent / "elsewhere", durable=False) as server:
            instance = make(database_url=server.url)
            instance.start()
            instance.stop()
            assert server.is_running
        assert not (home / "database").exists()


class TestSecrets:
    def test_they_are_made_once_and_for_the_owner_alone(self, home: Path) -> None:
        house = Home(home)
        house.make()
        first = house.secrets()
        assert set(first) == set(SECRETS)
        assert len(bytes.fromhex(first["POSTMETER_ID_KEY"])) == 16
        assert Home(home).secrets() == first
        assert stat.S_IMODE((home / "secrets.env").stat().st_mode) == 0o600
        assert stat.S_IMODE(home.stat().st_mode) == 0o700

    def test_the_environment_wins_but_is_not_written_down(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        house = Home(home)
        house.make()
        monkeypatch.setenv("POSTMETER_STRIPE_SECRET_KEY", "sk_live_of_the_operator")
        assert house.secrets()["POSTMETER_STRIPE_SECRET_KEY"] == "sk_live_of_the_operator"
        assert "sk_live_of_the_operator" not in (home / "secrets.env").read_text()

    def test_a_secret_that_a_later_version_adds_joins_the_old_ones(self, home: Path) -> None:
        house = Home(home)
        house.make()
        first = house.secrets()
        kept = [line for line in (home / "secrets.env").read_text().splitlines() if "STRIPE" not in line]
        (home / "secrets.env").write_text("# mine\n" + "\n".join(kept) + "\n")
        second = house.secrets()
        assert second["POSTMETER_ID_KEY"] == first["POSTMETER_ID_KEY"]
        assert second["POSTMETER_STRIPE_SECRET_KEY"] != first["POSTMETER_STRIPE_SECRET_KEY"]


class TestWhoIsToldWhat:
    @pytest.fixture
    def instance(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> Instance:
        monkeypatch.setenv("DATABASE_URL", "postgresql://root:owners-word@db.example/books")
        monkeypatch.setenv("POSTMETER_EMAIL_URL", "smtp://mail.example")
        instance = make(database_url=os.environ["DATABASE_URL"])
        instance.home.make()
        return instance

    def test_only_the_preparation_sees_the_owners_address(self, instance: Instance) -> None:
        assert preparation_of(instance.setting).environment["POSTMETER_OWNER_DATABASE_URL"] == instance.setting.owner_url
        for program in programs_of(instance.setting):
            assert "owners-word" not in str(program.environment), program.name

    def test_each_process_has_a_login_of_its_own(self, instance: Instance) -> None:
        programs = {program.name: program.environment for program in programs_of(instance.setting)}
        assert "//books_app:" in programs["web"]["POSTMETER_DATABASE_URL"]
        assert "//books_worker:" in programs["worker"]["POSTMETER_DATABASE_URL"]
        assert instance.home.secrets()["POSTMETER_WORKER_PASSWORD"] not in str(programs["web"])
        assert not [name for name in programs["simulator"] if name.startswith("POSTMETER_")]

    def test_the_simulator_knows_the_credentials_that_we_send_it(self, instance: Instance) -> None:
        programs = {program.name: program.environment for program in programs_of(instance.setting)}
        for name in ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
            assert programs["simulator"][f"SIMULATOR_{name}"] == programs["web"][f"POSTMETER_{name}"]
        assert programs["web"]["POSTMETER_TWILIO_BASE_URL"] == instance.setting.simulator_url

    def test_settings_of_the_operator_reach_the_processes(self, instance: Instance) -> None:
        assert programs_of(instance.setting)[1].environment["POSTMETER_EMAIL_URL"] == "smtp://mail.example"

    @pytest.mark.parametrize(
        ("owner", "expected"),
        [
            ("postgresql://postgres:pw@127.0.0.1:5432/postmeter", "postgresql://postmeter_app:s%2Fe@127.0.0.1:5432/postmeter"),
            ("postgresql:///books?host=/run/postgresql", "postgresql://books_app:s%2Fe@/books?host=/run/postgresql"),
        ],
    )
    def test_a_login_keeps_the_place_and_changes_the_name(self, owner: str, expected: str) -> None:
        assert login(owner, "app", "s/e") == expected

    def test_other_commands_find_the_running_instance_and_only_while_it_runs(self, make: Make, home: Path) -> None:
        assert Home(home).what_runs() == {}
        instance = make()
        instance.start()
        assert "//postmeter_worker:" in Home(home).what_runs()["POSTMETER_DATABASE_URL"]
        assert instance.setting.owner_url not in str(Home(home).what_runs())
        assert stat.S_IMODE((home / "running.json").stat().st_mode) == 0o600
        left_by_a_kill = (home / "running.json").read_text()
        instance.stop()
        assert Home(home).what_runs() == {}
        (home / "running.json").write_text(left_by_a_kill)
        assert Home(home).what_runs() == {}


class TestLogs:
    def run_to_the_end(self, script: str, logs: Path, said: list[str]) -> Child:
        child = Child(Program("talker", [sys.executable, "-c", script], dict(os.environ)), logs, said.append)
        child.start()
        eventually(lambda: child.exit_code is not None)
        child.bury()
        child.stop(lambda: False)
        return child

    def test_a_long_talker_fills_a_few_files_and_no_more(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "LOG_BYTES_MAX", 2_000)
        self.run_to_the_end("for n in range(1000): print('line', n)", tmp_path, [])
        files = list(tmp_path.iterdir())
        assert len(files) == 1 + processes.LOGS_KEPT
        assert all(path.stat().st_size <= 2_000 for path in files)
        assert (tmp_path / "talker.log").read_text().endswith("line 999\n")

    def test_warnings_are_shown_and_chatter_is_not(self, tmp_path: Path) -> None:
        said: list[str] = []
        self.run_to_the_end("print('INFO all well'); print('ERROR the carrier is away')", tmp_path, said)
        assert said == ["talker: ERROR the carrier is away"]
        assert "INFO all well" in (tmp_path / "talker.log").read_text()


def test_the_panel_says_where_to_look_and_how_to_sign_in(make: Make, home: Path) -> None:
    instance = make()
    instance.home.make()
    instance.home.demo_logins.write_text('[{"email": "master@demo.example", "password": "a-word", "role": "Master"}]')
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115 - closed below
    with console.file:
        console.print(panel_of(instance, 1.5))
        shown = console.export_text()
    for fact in (
        instance.setting.url,
        f"{instance.setting.url}/v1/docs",
        instance.setting.simulator_url,
        "master@demo.example",
        "a-word",
        str(home),
        "Ctrl-C",
    ):
        assert fact in shown, fact
