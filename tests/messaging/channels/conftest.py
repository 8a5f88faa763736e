"""Twilio's own calculator, from npm, as a peer to be measured against."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.peers.npm import PEERS, install


class Answer(NamedTuple):
    encoding: str
    segments: int
    graphemes: list[str]


@pytest.fixture(scope="session")
def calculator() -> Iterator[Callable[[str], Answer]]:
    """What `sms-segments-calculator` says about a text. One process of node answers all of them."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Twilio's calculator needs node and npm: install them to compare segments with it")
    install("sms-segments-calculator")
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
