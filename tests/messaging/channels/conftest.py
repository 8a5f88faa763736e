"""Twilio's own calculator, from npm, as a peer to be measured against."""

import fcntl
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

PEERS = Path(__file__).parents[2] / "peers"
NPM_SECONDS = 180


class Answer(NamedTuple):
    encoding: str
    segments: int
    graphemes: list[str]


@pytest.fixture(scope="session")
def calculator() -> Iterator[Callable[[str], Answer]]:
    """What `sms-segments-calculator` says about a text. One process of node answers all of them."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Twilio's calculator needs node and npm: install them to compare segments with it")
    _install(npm)
    with subprocess.Popen(
        [node, "segments.mjs"], cwd=PEERS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        assert process.stdin and process.stdout
        questions, answers = process.stdin, process.stdout

        def ask(text: str) -> Answer:
            questions.write(json.dumps(text) + "\n")
            questions.flush()
            return Answer(**json.loads(answers.readline()))

        yield ask
        questions.close()


def _install(npm: str) -> None:
    """What package-lock.json pins, once; other workers of the run wait for it."""
    with (PEERS / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (PEERS / "node_modules" / "sms-segments-calculator").is_dir():
            return
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=PEERS, capture_output=True, text=True, timeout=NPM_SECONDS, check=False)
        if done.returncode:
            pytest.skip(f"Twilio's calculator could not be installed with npm ci: {done.stderr.strip()[-300:]}")
