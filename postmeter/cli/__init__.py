"""The postmeter command. A command is a file here with a click command named `command`, and a line in COMMANDS."""

import importlib
import os
import sys

import click

from postmeter.kit.refusals import Refusal

COMMANDS = {
    "run": "Start everything: database, web and API, worker, simulator.",
    "prepare": "Bring the database up to this version; load the demo once.",
    "verify": "Recompute every balance, hold and total from the rows.",
    "customer": "Open customers, and say how far they may be overdrawn.",
    "terms": "Bills, adjustments, promotions, suspension, and what customers ask for.",
    "prices": "Set prices from a table.",
    "ledger": "Look at accounts, transfers and statements.",
    "seller": "Who issues invoices, and under which tax rules.",
    "wire": "Import bank statements; decide whose money it is.",
    "operator": "Who may sign in on the operator's pages.",
    "texts": "Give customers new keys for what their messages say.",
    "breaker": "Stop all automatic top-ups, and let them go on.",
    "costs": "What providers billed, beside what was charged.",
    "guard": "Limits, countries and stops of a customer.",
    "demo": "Play the whole journey without a browser, in an instance of its own.",
    "bench": "Measure, and write bench/latest.json.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called: `--help` knows no framework."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"postmeter.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
def postmeter() -> None:
    """Prepaid credit for messages: priced, held, sent, charged or given back."""


def main() -> None:
    """A refusal is one line on stderr and exit 1; a wrong use is click's exit 2."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postmeter.config.settings")
    try:
        postmeter()
    except Refusal as refusal:
        click.echo(f"postmeter: {refusal}", err=True)
        sys.exit(1)
