"""The parts of the trunk that need no line: its journal, its ear, its settings."""

import asyncio
import sqlite3
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.refusals import BadInput, Refusal
from postmeter.messaging.channels.voice import VOICES
from postmeter.trunk import voices
from postmeter.trunk.conversation import ended
from postmeter.trunk.ear import Ear, Who
from postmeter.trunk.journal import Journal
from postmeter.trunk.line import meaning_of
from postmeter.trunk.settings import Settings

RATE = 8_000


# The journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trunk" / "journal.db"


def test_an_order_is_taken_once_and_what_has_ended_stays_as_it_ended(path: Path) -> None:
    journal = Journal(path)
    assert (journal.take("7", "call", "https://ours/7"), journal.take("7", "call", "https://other")) == (True, False)
    journal.note("7", "answered")
    journal.note("7", "completed", seconds=60.1)
    journal.note("7", "failed", code="late")
    job = journal.job("7")
    assert job and (job.status, job.seconds, job.code, job.receipts) == ("completed", 61, "", "https://ours/7")
    journal.close()


def test_what_was_under_way_when_the_trunk_died_is_known_for_what_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr("postmeter.trunk.journal.time.time", lambda: now)
    journal = Journal(path)
    for ref, status in (("1", ""), ("2", "ringing"), ("3", "answered"), ("4", "completed")):
        journal.take(ref, "call", "https://ours")
        if status:
            journal.note(ref, status, seconds=9 if status == "completed" else 0)
    now = 1_083.5
    journal.seen(["3"])
    now = 5_000.0
    journal.close()
    reopened = Journal(path)
    found = {ref: (job.status, job.seconds, job.code) for ref in "1234" if (job := reopened.job(ref))}
    reopened.close()
    assert found == {
        "1": ("failed", 0, "not_called"),
        "2": ("lost", 0, ""),
        "3": ("lost", 84, ""),
        "4": ("completed", 9, ""),
    }


def test_everything_is_told_until_it_was_heard_and_forgotten_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)
    journal.take("7", "fax", "https://ours/7")
    assert journal.untold() == []
    journal.note("7", "ringing")
    [ringing] = journal.untold()
    journal.note("7", "completed", pages=2)
    journal.told(ringing)  # it is not what stands there now
    [ended] = journal.untold()
    assert (ended.status, ended.pages) == ("completed", 2)
    journal.told(ended)
    assert journal.untold() == []
    journal.forget_old()
    assert journal.job("7")
    monkeypatch.setattr("postmeter.trunk.journal.KEPT_SECONDS", -1)
    journal.forget_old()
    assert journal.job("7") is None
    journal.close()


def test_a_second_trunk_does_not_bury_what_the_first_one_talks(path: Path) -> None:
    journal = Journal(path)
    journal.take("7", "call", "https://ours/7")
    journal.note("7", "answered")
    with pytest.raises(Refusal, match="belongs to a trunk that is running"):
        Journal(path)
    assert [job.status for job in journal.untold()] == ["answered"]
    journal.close()


def test_the_journal_keeps_no_number_and_no_word(path: Path) -> None:
    Journal(path).close()
    with sqlite3.connect(path) as db:
        columns = {row[1] for row in db.execute("PRAGMA table_info(job)")}
    db.close()
    assert columns == {
        "ref", "kind", "receipts", "status", "answered_at", "seen_at", "seconds", "pages", "code", "words", "ended", "told", "changed_at"
    }  # fmt: skip


# The ear


def sound(*parts: tuple[float, int]) -> bytes:
    """Seconds, each with a loudness."""
    return b"".join(
        (numpy.sin(numpy.arange(int(seconds * RATE))) * loud * 1.41).astype("<i2").tobytes() for seconds, loud in parts
    )


@pytest.mark.parametrize(
    ("heard", "who"),
    [
        (sound((0.3, 0), (0.6, 3_000), (1.3, 0)), Who.PERSON),  # "Hello?"
        (sound((0.5, 3_000), (0.4, 0), (1.0, 3_000), (1.3, 0)), Who.PERSON),  # "Hello. Miller speaking."
        (sound((0.5, 0), (2.5, 3_000)), Who.MACHINE),
        (sound((0.8, 3_000), (0.5, 0), (1.2, 3_000)), Who.MACHINE),  # breaths belong to it
        (sound((5.1, 50)), Who.PERSON),  # nobody says anything: they are told all the same
        (sound((1.0, 0), (0.6, 3_000), (0.3, 0)), None),
    ],
)
def test_who_speaks_long_is_a_machine(heard: bytes, who: Who | None) -> None:  # S-042
    ear = Ear()
    ear.hear(heard)
    assert ear.who is who
    assert ear.is_over is (who is Who.PERSON)


def test_a_machine_is_heard_out() -> None:
    ear = Ear()
    ear.hear(sound((4.0, 3_000), (1.0, 0)))
    assert (ear.who, ear.is_over) == (Who.MACHINE, False)
    ear.hear(sound((0.5, 3_000), (1.0, 0)))  # it goes on
    assert not ear.is_over
    ear.hear(sound((0.7, 0)))
    assert ear.is_over
    endless = Ear()
    endless.hear(sound((46.0, 3_000)))
    assert endless.is_over


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 1.4, 2.5]), st.sampled_from([0, 3_000])), max_size=6), st.integers(1, 9))
def test_what_is_heard_does_not_depend_on_the_packets_it_came_in(parts: list[tuple[float, int]], frames: int) -> None:
    heard = sound(*parts)
    whole, pieces = Ear(), Ear()
    whole.hear(heard)
    for at in range(0, len(heard), frames * 320):
        pieces.hear(heard[at : at + frames * 320])
    assert (whole.who, whole.is_over) == (pieces.who, pieces.is_over)


# What is said, and to whom


def test_every_voice_that_a_customer_can_choose_is_spoken_by_one() -> None:
    assert set(voices.VOICES) == {voice for those in VOICES.values() for voice in those}


@pytest.mark.parametrize(
    ("status", "means"),
    [
        (486, "busy"),
        (600, "busy"),
        (480, "no-answer"),
        (487, "no-answer"),
        (603, "no-answer"),
        (404, "failed"),
        (503, "failed"),
        (None, "failed"),
    ],
)
def test_what_a_carrier_answers_means_one_of_three(status: int | None, means: str) -> None:
    assert meaning_of(status) == means


# Tasks


def test_who_is_cancelled_while_waiting_for_another_task_to_end_is_cancelled() -> None:
    """Or a call would go on beyond its time because somebody was put through at that moment."""

    async def slow_to_end() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)

    async def story() -> None:
        inner = asyncio.create_task(slow_to_end())
        await asyncio.sleep(0)
        outer = asyncio.create_task(ended(inner))
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        await ended(inner)

    asyncio.run(story())


# Settings

TOLD = {"POSTMETER_SIP_HOST": "sip.carrier.example", "POSTMETER_SIP_SECRET": "s" * 16, "POSTMETER_HOME": "/srv/postmeter"}


def test_settings_are_read_with_what_nobody_says() -> None:
    read = Settings.read(TOLD)
    assert (read.carrier, read.transport, read.at, read.codecs, read.lines) == (
        "sip.carrier.example", "udp", ("0.0.0.0", 0), ("pcmu", "pcma"), 20,
    )  # fmt: skip
    assert (read.listen, read.folder, read.plus, read.retries) == (("127.0.0.1", 8005), Path("/srv/postmeter/trunk"), True, 2)
    assert Settings.read(TOLD | {"POSTMETER_SIP_AT": "192.0.2.7:5060"}).at == ("192.0.2.7", 5060)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("HOST", "", "Give the carrier's host"),
        ("HOST", "sip:carrier@example", "Give the carrier's host"),
        ("SECRET", "short", "openssl rand -hex 24"),
        ("TRANSPORT", "tls", "session border controller"),
        ("CODECS", "pcmu,opus", "pcmu, pcma or both"),
        ("LINES", "0", "a number from 1 to 200"),
        ("LINES", "many", "a number from 1 to 200"),
        ("RETRIES", "11", "a number from 0 to 10"),
        ("AT", "192.0.2.7:port", "an address, or address:port"),
        ("USER", "two words", "Leave out blanks"),
        ("PASSWORD", 'a"b', "Leave out"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(name: str, value: str, words: str) -> None:
    with pytest.raises(BadInput, match=words) as refused:
        Settings.read(TOLD | {f"POSTMETER_SIP_{name}": value})
    assert refused.value.field == f"POSTMETER_SIP_{name}"
