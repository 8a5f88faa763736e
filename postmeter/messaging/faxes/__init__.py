"""Fax pages: what documents become before they are sent, and what is drawn on them as they go. No Django, no network.

A page is 1,728 dots wide at 204 × 196 dots an inch, black on white, compressed as ITU-T T.6 asks (group 4): what fax machines call
fine. Pages are kept as one TIFF. Whatever reads bytes that others made does so in a child process with limits (`child.py`).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from postmeter.kit.refusals import BadInput

CHILD = Path(__file__).with_name("child.py")
PAGES_AT_MOST = 100
SECONDS = 60.0  # of the clock; the child has less of the processor
RENDERED = "image/tiff"
KINDS = frozenset({"application/pdf", "image/png", "image/jpeg", "image/gif", "image/tiff"})


@dataclass(frozen=True, slots=True)
class Cover:
    """What the cover sheet says: who sends, and a text. To whom is drawn as it goes, for one fax may go to many."""

    sender: str
    number: str
    postal_address: str
    text: str


@dataclass(frozen=True, slots=True)
class Pages:
    """A TIFF of group 4 pages, and how many there are."""

    tiff: bytes
    count: int


def render(files: Sequence[tuple[str, str, bytes]], cover: Cover | None = None) -> Pages:
    """Pages of these files (name, content type, content) in their order, the cover sheet before them. Takes seconds: no loop waits for it.

    Raises BadInput naming the file that cannot be drawn.
    """
    if not files and cover is None:
        raise BadInput("There is nothing to fax.", field="media", remedy="Add a document, or write a text.")
    for name, kind, _ in files:
        if kind not in KINDS:
            raise BadInput(
                f"{name} cannot be faxed.", field="media", remedy="Send PDF, PNG, JPEG, GIF or TIFF; save others as PDF."
            )
    asked = {
        "cover": asdict(cover) if cover else None,
        "files": [{"name": name, "kind": kind, "size": len(content)} for name, kind, content in files],
        "at_most": PAGES_AT_MOST,
    }
    head, _, tiff = _ask_child(json.dumps(asked).encode() + b"\n" + b"".join(content for _, _, content in files)).partition(b"\n")
    said = json.loads(head)
    if "refused" in said:
        raise BadInput(said["refused"], field="media", remedy=said["remedy"])
    return Pages(tiff, said["count"])


def _ask_child(asked: bytes) -> bytes:
    """In a process of its own, with nothing of ours in its environment and its files gone with it."""
    with tempfile.TemporaryDirectory(prefix="postmeter-fax-") as folder:
        try:
            done = subprocess.run(  # noqa: S603 - our own program
                [sys.executable, "-I", str(CHILD)],
                input=asked,
                capture_output=True,
                cwd=folder,
                env={"TMPDIR": folder},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _too_much() from None
    if done.returncode != 0 or not done.stdout:
        raise _too_much()
    return done.stdout


def _too_much() -> BadInput:
    return BadInput("This document is too much to draw.", field="media", remedy="Print it to a PDF of fewer or simpler pages.")
