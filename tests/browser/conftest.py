"""A browser, and a worker beside the stage. The database is prepared before the browser runs: its thread then has a loop."""

import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import Browser, sync_playwright

from postmeter.db import calls, scope
from postmeter.topups import breaker
from tests.stage import PATIENCE_SECONDS, Stage

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def worker(stage: Stage) -> Iterator[None]:
    """Dispatches what this test queues, and for this test only: other tests leave thousands behind, some of which never answer.

    What they left at the gateways is explained first: its round would stop automatic top-ups for every test that follows.
    """
    breaker.trip(reason="a worker begins", actor="operator", now=timezone.now())
    breaker.reset(reason="all is explained", actor="operator", now=timezone.now())
    with scope.every_customer():
        calls.rows("UPDATE messaging_message SET due_at = '2099-01-01' WHERE state = 'queued' RETURNING id")
    with (stage.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "postmeter.config.worker"], env=stage.environment(worker=True), stdout=log, stderr=log
        )
    yield
    process.terminate()
    try:
        process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()


@pytest.fixture
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()
