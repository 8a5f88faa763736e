"""Faxes: T.30 between two machines in memory, and over calls that are really placed."""

import base64
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from postmeter.trunk.faxing import posix_zone
from postmeter.trunk.t30 import Machine
from tests.trunk.conftest import needs_fax
from tests.trunk.street import SECRET, SENDER, Street

FRAME = 160  # samples
BAND = 60  # lines at the head that are left for the sender's


def pages(count: int) -> bytes:
    drawn = []
    for number in range(1, count + 1):
        page = Image.new("1", (1728, 2292), 1)
        pen = ImageDraw.Draw(page)
        pen.fontmode = "1"
        pen.text((200, 300), f"Page {number}", font=ImageFont.load_default(90), fill=0)
        drawn.append(page)
    made = io.BytesIO()
    drawn[0].save(made, format="TIFF", save_all=True, append_images=drawn[1:], compression="group4", dpi=(204, 196))
    return made.getvalue()


def frames(tiff: bytes | Path) -> list[Image.Image]:
    with Image.open(io.BytesIO(tiff) if isinstance(tiff, bytes) else tiff) as opened:
        found = []
        for number in range(getattr(opened, "n_frames", 1)):
            opened.seek(number)
            found.append(opened.convert("1"))
        return found


def assert_arrived(sent: bytes, got: Path) -> None:
    """Dot for dot, with a line at the head of each page."""
    ours, theirs = frames(sent), frames(got)
    assert len(theirs) == len(ours)
    for number, (page, copy) in enumerate(zip(ours, theirs, strict=True)):
        added = copy.height - page.height  # the line at the head pushes the page down
        assert copy.crop((0, added, 1728, copy.height)).tobytes() == page.tobytes(), number
        assert copy.crop((0, 0, 1728, BAND)).getextrema() == (0, 255)


def session(ours: Machine, theirs: Machine | None, *, seconds: int, breaks_after: int = 99) -> None:
    """In step; after so many pages the line is dead."""
    for _ in range(seconds * 50):
        said = ours.speak(FRAME)
        answer = theirs.speak(FRAME) if theirs and ours.pages < breaks_after else bytes(FRAME * 2)
        ours.hear(answer)
        if theirs:
            theirs.hear(said)
        if ours.code is not None and (theirs is None or theirs.code is not None):
            return


@pytest.mark.parametrize("count", [1, 2, 50])
def test_pages_arrive_dot_for_dot_with_the_senders_line_at_their_head(tmp_path: Path, count: int) -> None:  # A-07 S-046
    needs_fax()
    sent, got = tmp_path / "sent.tiff", tmp_path / "got.tiff"
    sent.write_bytes(pages(count))
    ours = Machine.sending(sent, ident=SENDER, header="Harbour Clinic", zone="LOC5:00")
    theirs = Machine.receiving(got, ident="+15550107130")
    session(ours, theirs, seconds=60 + 30 * count)
    assert (ours.code, ours.pages, theirs.pages) == (0, count, count)
    ours.close(), theirs.close()
    assert_arrived(sent.read_bytes(), got)


def test_where_no_machine_answers_the_session_ends_and_says_so(tmp_path: Path) -> None:
    needs_fax()
    sent = tmp_path / "sent.tiff"
    sent.write_bytes(pages(1))
    ours = Machine.sending(sent, ident=SENDER, header="", zone="UTC0")
    session(ours, None, seconds=120)
    assert (ours.code not in (None, 0), ours.pages, ours.words) == (True, 0, "Timed out waiting for initial communication")
    ours.close()


def test_pages_that_nobody_confirmed_are_not_counted(tmp_path: Path) -> None:  # F54
    needs_fax()
    sent = tmp_path / "sent.tiff"
    sent.write_bytes(pages(3))
    ours = Machine.sending(sent, ident=SENDER, header="", zone="UTC0")
    theirs = Machine.receiving(tmp_path / "got.tiff", ident="1")
    session(ours, theirs, seconds=300, breaks_after=1)
    assert ours.code not in (None, 0)
    assert ours.pages == 1
    ours.close(), theirs.close()


@given(st.sampled_from(["America/New_York", "Asia/Kolkata", "Australia/Sydney", "America/St_Johns", "UTC", "Nowhere/At_All", ""]))
def test_the_time_at_the_head_of_a_page_is_the_senders(name: str) -> None:
    wanted = {
        "America/New_York": "LOC5:00",
        "Asia/Kolkata": "LOC-5:30",
        "Australia/Sydney": "LOC-11:00",
        "America/St_Johns": "LOC3:30",
    }
    assert posix_zone(name, datetime(2026, 11, 24, 12, tzinfo=UTC)) == wanted.get(name, "LOC0:00")


def order(street: Street, ref: str, number: str, tiff: bytes) -> dict[str, object]:
    more = {"header": "Harbour Clinic", "zone": "America/New_York", "tiff": base64.b64encode(tiff).decode()}
    return street.order(ref, number) | more


def test_faxes_go_over_calls_and_one_that_is_busy_is_called_again(street: Street) -> None:  # A-07 F54
    sent = pages(1)
    for ref, last in enumerate(("30", "31", "32", "00"), 7_000):
        assert street.ask("POST", "/faxes", order(street, str(ref), f"155501071{last}", sent))[0] == 201
    ends = {last: street.end_of(f"155501071{last}") for last in ("30", "31", "32", "00")}
    found = {last: (end["kind"], end["status"], end["pages"], end["code"]) for last, end in ends.items()}
    assert found == {
        "30": ("fax", "completed", 1, ""),
        "31": ("fax", "broken", 0, "t30"),
        "32": ("fax", "completed", 1, ""),
        "00": ("fax", "busy", 0, "sip-486"),
    }
    assert ends["31"]["words"] == "The call ended before the machines were done."
    assert (street.count(rings="15550107132"), street.count(rings="15550107100")) == (2, 3)
    for last in ("30", "32"):
        assert_arrived(sent, street.folder / f"155501071{last}.tiff")
    assert not list((street.folder / "trunk").glob("*.tiff"))
    assert SECRET not in (street.folder / "trunk.log").read_text()
    assert "5550107" not in (street.folder / "trunk.log").read_text()  # numbers are nobody's business
