"""`postmeter run`: one command brings everything up, and Ctrl-C takes it down again."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from postmeter.cli.home import home_of
from postmeter.cli.instance import CannotRun, Instance
from postmeter.cli.processes import Program
from postmeter.cli.programs import Setting, preparation_of, programs_of

LOOK_SECONDS = 0.2


class _Stop(BaseException):
    """Somebody asked us to stop. Not an Exception: no step on the way up may swallow it."""


class _Signals:
    """The first request to stop interrupts whatever is under way; a second one makes the stop hurry."""

    def __init__(self) -> None:
        self.is_hurried = False
        self._asked = False

    def install(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # ignored under nohup, and to stay so
            signal.signal(signal.SIGHUP, self._handle)

    def begin_stopping(self) -> None:
        """From here on a signal only makes us hurry."""
        self._asked = True

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            self.is_hurried = True
            return
        self._asked = True
        raise _Stop


@click.command("run")
def command() -> None:
    """Start everything, and stay until Ctrl-C. POSTMETER_HOME, POSTMETER_PORT and DATABASE_URL move it.

    POSTMETER_DEMO=0 leaves an empty database empty.
    """
    run(Console(highlight=False, soft_wrap=not sys.stdout.isatty()), os.environ)


def run(
    console: Console,
    environment: Mapping[str, str],
    *,
    programs: Callable[[Setting], list[Program]] = programs_of,
    preparation: Callable[[Setting], Program] = preparation_of,
) -> None:
    """Start, look after and stop an instance as the environment describes it."""
    started = time.monotonic()
    port = _port(environment, "POSTMETER_PORT", 8000)

    def say(sentence: str) -> None:
        console.print(Text(f"{time.monotonic() - started:6.1f} s  {sentence}"))

    instance = Instance(
        home_of(environment),
        port=port,
        simulator_port=_port(environment, "POSTMETER_SIMULATOR_PORT", port + 1),
        console_port=_port(environment, "POSTMETER_CONSOLE_PORT", port + 2),
        database_url=environment.get("DATABASE_URL"),
        say=say,
        programs=programs,
        preparation=preparation,
    )
    signals = _Signals()
    signals.install()
    try:
        instance.start()
        console.print(panel_of(instance, time.monotonic() - started))
        while True:
            instance.look_after()
            time.sleep(LOOK_SECONDS)
    except _Stop:
        console.print()
    finally:
        signals.begin_stopping()
        instance.stop(lambda: signals.is_hurried)
    say("Stopped. The data stays.")


def panel_of(instance: Instance, seconds: float) -> Panel:
    """Where to look, how to sign in, how to stop."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Pages", instance.setting.url)
    table.add_row("API", f"{instance.setting.url}/v1/docs")
    table.add_row("Operator's pages", instance.setting.console_url)
    table.add_row("Street of phones", f"{instance.setting.simulator_url}/street")
    for login in _demo_logins(instance.home.demo_logins):
        table.add_row(str(login["role"]), f"{login['email']}   password  {login['password']}")
    table.add_row("Data, logs", f"{instance.home.path}   {instance.home.logs}")
    table.add_row("Check the books", "bin/postmeter verify, in another terminal")
    table.add_row("Stop", "Ctrl-C")
    return Panel(table, title=f"Postmeter is ready ({seconds:.1f} s)", expand=False, padding=(1, 2))


def _demo_logins(path: Path) -> list[dict[str, str]]:
    try:
        logins: list[dict[str, str]] = json.loads(path.read_text())
    except FileNotFoundError:  # an install without the demo
        return []
    return logins


def _port(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable) or str(default)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise CannotRun(f"{variable} is {text!r}, which is not a port.", remedy="Give a number from 1 to 65535.")
    return int(text)
