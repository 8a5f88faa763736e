"""`python -m postmeter.trunk`: serve until SIGTERM, then let calls end."""

import asyncio
import logging
import shutil
import signal
import sys

from aiohttp import web

from postmeter.kit.refusals import Refusal
from postmeter.trunk.settings import Settings

log = logging.getLogger("postmeter.trunk")
PATIENCE_SECONDS = 60.0  # longer than most calls last


def main() -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for theirs in ("baresip", "aiohttp.access"):
        logging.getLogger(theirs).setLevel(logging.WARNING)  # they name numbers
    try:
        settings = Settings.read()
        _require()
        asyncio.run(serve(settings))
    except Refusal as refusal:
        print(f"postmeter: {refusal}", file=sys.stderr)
        return 1
    return 0


def _require() -> None:
    """What the extra needs and pip does not bring."""
    from postmeter.trunk import t30

    if shutil.which("espeak-ng") is None:
        raise Refusal("espeak-ng is not installed.", remedy="On Debian: apt-get install espeak-ng")
    try:
        t30.library()
    except t30.NoFax as error:
        raise Refusal(str(error)) from None


async def serve(settings: Settings) -> None:
    from postmeter.trunk.app import create_app
    from postmeter.trunk.exchange import Exchange
    from postmeter.trunk.journal import Journal
    from postmeter.trunk.line import Lines
    from postmeter.trunk.teller import Teller

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for left in settings.folder.glob("*.tiff"):
        left.unlink()
    journal = Journal(settings.folder / "journal.db")
    async with Teller(journal, settings.secret) as teller, Lines(settings) as lines:
        exchange = Exchange(settings, lines, journal, ask=teller.ask, news=teller.news)
        runner = web.AppRunner(create_app(settings, exchange, journal), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, *settings.listen).start()
        log.info("the trunk to %s takes orders at %s:%s", settings.carrier, *settings.listen)
        tasks = [asyncio.create_task(teller.tell_all()), asyncio.create_task(exchange.keep_time())]
        await stop.wait()
        await exchange.close(PATIENCE_SECONDS)
        await teller.tell()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()
    journal.close()


if __name__ == "__main__":
    sys.exit(main())
