"""How the command line reaches the database: as the environment says, else as the instance that runs in POSTMETER_HOME does."""

import json
import os
from pathlib import Path

from postmeter.kit.refusals import Refusal


class NothingRuns(Refusal):
    """No Postmeter is running here."""

    code = "nothing_runs"


def connect() -> None:
    """Set Django up with the worker's login. Raises NothingRuns, saying what to do."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")
    if "POSTMETER_DATABASE_URL" not in os.environ:
        running = Path(os.environ.get("POSTMETER_HOME") or ".postmeter") / "running.json"
        try:
            os.environ.update(
                {name: value for name, value in json.loads(running.read_text()).items() if name.startswith("POSTMETER_")}
            )
        except FileNotFoundError:
            raise NothingRuns(
                f"No Postmeter is running in {running.parent.resolve()}.",
                remedy="Start it with `make run`, or set POSTMETER_HOME or POSTMETER_DATABASE_URL.",
            ) from None
    import django

    django.setup()
