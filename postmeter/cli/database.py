"""How the command line reaches the database: the environment's, else the one of POSTMETER_HOME, whether it runs or not."""

import atexit
import os

from postmeter.cli.home import Home, home_of
from postmeter.cli.programs import Setting, worker_environment
from postmeter.db.embedded import EmbeddedPostgres
from postmeter.kit.refusals import Refusal


class NoDatabase(Refusal):
    """There is no database here."""

    code = "no_database"


def connect() -> None:
    """Set Django up with the worker's login. A database that does not run is started for as long as the command lasts."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")
    if "POSTMETER_DATABASE_URL" not in os.environ:
        home = Home(home_of(os.environ))
        os.environ.update(home.what_runs() or _started(home))
    import django

    django.setup()


def _started(home: Home) -> dict[str, str]:
    if not (home.path / "database").exists():
        raise NoDatabase(
            f"There is no database in {home.path}.",
            remedy="Start Postmeter with `make run`, or let POSTMETER_HOME or POSTMETER_DATABASE_URL say where it is.",
        )
    server = EmbeddedPostgres(home.path)
    atexit.register(server.stop)
    setting = Setting(home, port=8000, simulator_port=8001, console_port=8002, owner_url=server.start())
    environment = worker_environment(setting)
    return {name: value for name, value in environment.items() if name.startswith("POSTMETER_")}
