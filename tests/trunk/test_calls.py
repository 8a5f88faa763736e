"""Calls that are really placed: baresip on our side, aiosipua and aiortp on the other, sound in between."""

import asyncio
import signal

import numpy
import pytest

from postmeter.trunk.voices import RATE, spoken
from tests.stage import until
from tests.trunk.street import SECRET, SENDER, Street


def tone_of(number: str) -> int:
    """The telephones' own (tests/peers/telephones.py), in Hz."""
    return 300 + 10 * int(number[-2:])


WORDS = "Your visit is on Tuesday at nine."


def samples(sound: bytes) -> "numpy.ndarray":
    return numpy.frombuffer(sound[: len(sound) // 2 * 2], dtype="<i2").astype("f8")


def likeness(said: bytes, heard: bytes) -> float:
    """How well the one is found in the other, whenever it was: 1 is the same sound."""
    wanted, got = samples(said), samples(heard)
    size = 1 << (len(wanted) + len(got)).bit_length()
    found = numpy.fft.irfft(numpy.fft.rfft(got, size) * numpy.conj(numpy.fft.rfft(wanted, size)), size)
    at = int(numpy.argmax(found[: len(got)]))
    part = got[at : at + len(wanted)]
    return float(found[at] / (numpy.linalg.norm(wanted) * numpy.linalg.norm(part)))


def has_tone(sound: bytes, hertz: int) -> bool:
    """Whether that tone is the loudest anywhere in the sound, for a fifth of a second."""
    frames = samples(sound)
    for at in range(0, len(frames) - RATE // 5, RATE // 10):
        part = frames[at : at + RATE // 5]
        loudest = int(numpy.argmax(numpy.abs(numpy.fft.rfft(part)))) * 5
        if numpy.sqrt(numpy.mean(part * part)) > 1_000 and abs(loudest - hertz) <= 5:
            return True
    return False


def test_what_we_write_is_what_they_hear(street: Street) -> None:  # S-042
    ref = street.call("15550107155", {"says": [WORDS]})
    end = street.end_of("15550107155")
    assert (end["ref"], end["kind"], end["status"]) == (ref, "call", "completed")
    assert street.has(rings="15550107155", caller=SENDER)
    said = asyncio.run(spoken("Polly.Joanna", WORDS))
    heard = street.heard_by("15550107155")
    assert likeness(said, heard) > 0.95
    assert len(said) / 2 / RATE <= end["seconds"] <= len(heard) / 2 / RATE + 2
    assert street.ours.asked["15550107155"] == [{"ref": ref, "machine": False, "key": "", "connected": None}]
    assert street.ours.secrets == {f"Bearer {SECRET}"}


def test_a_key_stops_what_is_said_and_brings_the_next(street: Street) -> None:  # S-064
    long = "This is a very long text about nothing at all, and nobody hears its end, because somebody presses a key."
    street.call("15550107117", {"says": [long], "keys_to": "", "otherwise": ["Goodbye."]}, {"says": ["Noted."]})
    end = street.end_of("15550107117")
    assert [each["key"] for each in street.ours.asked["15550107117"]] == ["", "7"]
    heard = street.heard_by("15550107117")
    assert likeness(asyncio.run(spoken("Polly.Joanna", "Noted.")), heard) > 0.9
    assert end["seconds"] < len(asyncio.run(spoken("Polly.Joanna", long))) / 2 / RATE


def test_how_calls_end_that_nobody_takes_and_one_that_wants_a_password(street: Street) -> None:
    for last in ("00", "01", "02", "04", "40"):
        street.call(f"155501071{last}", {"says": ["Hi."]})
    ends = {last: street.end_of(f"155501071{last}") for last in ("00", "02", "04", "40", "01")}
    found = {last: (end["status"], end["code"], end["seconds"] > 0) for last, end in ends.items()}
    assert found == {
        "00": ("busy", "sip-486", False),
        "01": ("no-answer", "", False),
        "02": ("failed", "sip-404", False),
        "04": ("completed", "", True),
        "40": ("completed", "", True),
    }
    assert street.has(rings="15550107140", user=True)
    until(lambda: street.has(cancelled=True), "the telephone that nobody took to fall silent")


def test_a_machine_is_told_from_a_person_and_heard_out(street: Street) -> None:  # S-042
    street.call("15550107203", {"says": ["Call us."]}, finds_machines=True)
    street.call("15550107256", {"says": ["Hello you."]}, finds_machines=True)
    street.end_of("15550107203"), street.end_of("15550107256")
    assert [each["machine"] for each in street.ours.asked["15550107203"]] == [True]
    assert [each["machine"] for each in street.ours.asked["15550107256"]] == [False]
    # Its greeting of four seconds was over when we began: all of our words are on it.
    assert likeness(asyncio.run(spoken("Polly.Joanna", "Call us.")), street.heard_by("15550107203")) > 0.9


def test_who_is_put_through_hears_and_is_heard(street: Street) -> None:  # S-065 A-06
    first, second = "15550107310", "15550107357"
    ours = street.ours.url
    connecting = {
        "says": ["We connect you."],
        "connect": f"+{second}",
        "sender": SENDER,
        "seconds": 4,
        "connect_ref": "90001",
        "connect_receipts": f"{ours}/told/{second}",
        "connect_ended": "",
    }
    street.call(first, {"says": ["Press a key."], "keys_to": ""}, connecting, {"says": ["Bye."]})
    ends = {number: street.end_of(number) for number in (second, first)}
    assert [(each["key"], each["connected"]) for each in street.ours.asked[first]] == [("", None), ("0", None), ("", True)]
    assert (ends[second]["ref"], ends[second]["status"]) == ("90001", "completed")
    assert 4 <= ends[second]["seconds"] < ends[first]["seconds"]
    assert has_tone(street.heard_by(first), tone_of(second))
    assert has_tone(street.heard_by(second), tone_of(first))
    assert street.has(rings=second, caller=SENDER)


def test_a_second_number_that_is_busy_leaves_the_first_call_as_it_is(street: Street) -> None:  # S-065
    first = "15550107410"
    connecting = {"says": ["Wait."], "connect": "+15550107400", "sender": SENDER, "seconds": 9, "connect_ref": "90002"}
    more = {"connect_receipts": f"{street.ours.url}/told/15550107400", "connect_ended": ""}
    street.call(first, {"says": ["Press."], "keys_to": ""}, connecting | more, {"says": ["Nobody is there."]})
    assert (street.end_of("15550107400")["status"], street.end_of(first)["status"]) == ("busy", "completed")
    assert street.ours.asked[first][-1]["connected"] is False


def test_a_call_lasts_as_long_as_it_was_told_and_may_be_told_again(street: Street) -> None:
    long = {"says": ["This is a text that would go on for quite some time, if anybody let it go on to its end."] * 3}
    more, ended = "15550107558", "15550107559"
    street.call("15550107560", long, seconds=2)
    ref = street.call(more, long, seconds=3)
    told = street.call(ended, long, seconds=30)
    until(lambda: street.has(answered=more) and street.has(answered=ended), "them to answer")
    assert street.ask("POST", f"/calls/{ref}", {"seconds": 6})[0] == 200
    last = street.addressed(ended, {"says": ["This call ends now."]})
    assert street.ask("POST", f"/calls/{told}", {"speech": last})[0] == 200
    whole = 3 * len(asyncio.run(spoken("Polly.Joanna", long["says"][0]))) / 2 / RATE  # far longer than any of them may last
    cut_at, gone_on = street.end_of("15550107560")["seconds"], street.end_of(more)["seconds"]
    assert 2 <= cut_at < whole / 2 and 6 <= gone_on < whole
    assert street.end_of(ended)["seconds"] < whole
    assert likeness(asyncio.run(spoken("Polly.Joanna", "This call ends now.")), street.heard_by(ended)) > 0.9
    assert street.ask("POST", f"/calls/{ref}", {"seconds": 60})[0] == 404


def test_where_nobody_says_what_to_say_the_call_is_broken_and_its_time_known(street: Street) -> None:
    street.call("15550107661")
    end = street.end_of("15550107661")
    assert (end["status"], end["code"]) == ("broken", "unsaid")
    assert end["seconds"] >= 1


def test_nothing_is_called_twice_whoever_asks_and_what_became_of_it_is_always_known(street: Street) -> None:
    ref = street.call("15550107662", {"says": ["Hi."]})
    again = street.order(ref, "15550107662") | {"seconds": 60, "asks": f"{street.ours.url}/asks/x", "finds_machines": False}
    assert street.ask("POST", "/calls", again)[0] == 201
    end = street.end_of("15550107662")
    assert street.ask("POST", "/calls", again) == (201, end)
    assert street.ask("GET", f"/jobs/{ref}") == (200, end)
    assert street.count(rings="15550107662") == 1
    assert street.ask("GET", "/jobs/424242")[0] == 404


def test_what_became_of_a_call_is_told_until_it_is_heard(street: Street) -> None:
    street.ours.deaf = 3
    street.call("15550107600", {"says": ["Hi."]})
    assert street.end_of("15550107600")["status"] == "busy"
    assert street.ours.deaf == 0


@pytest.mark.parametrize(
    ("path", "said", "status", "words"),
    [
        ("/calls", b"{", 400, "truncated"),
        ("/calls", {"ref": "7"}, 400, "required field `to`"),
        (
            "/calls",
            {"ref": "seven", "to": "+1", "sender": "+1", "seconds": 1, "asks": "", "receipts": "", "finds_machines": False},
            400,
            "ref is",
        ),
        (
            "/faxes",
            {"ref": "7", "to": "+1", "sender": "+1", "header": "", "zone": "", "receipts": "", "tiff": "?"},
            400,
            "base64",
        ),
        ("/calls/7", {"speech": {"says": []}}, 400, "required field"),
    ],
)
def test_orders_that_make_no_sense_are_refused(street: Street, path: str, said: object, status: int, words: str) -> None:
    found, answer = street.ask("POST", path, said)
    assert (found, words in answer["words"]) == (status, True), answer


def test_who_does_not_know_the_secret_gets_nothing(street: Street) -> None:
    assert street.ask("GET", "/jobs/1", secret="guessed")[0] == 401
    assert street.ask("POST", "/calls", {}, secret="")[0] == 401


def test_a_trunk_that_dies_in_a_call_knows_afterwards_how_long_it_lasted_at_least(street: Street) -> None:
    number = "15550107770"
    ref = street.call(number, {"says": [WORDS] * 9})
    until(lambda: street.has(answered=number), "an answer")
    until(lambda: street.ours.told[number][-1]["status"] == "answered", "our side to know")
    street.stop(signal.SIGKILL)
    street.start()
    end = street.end_of(number)
    assert end["status"] == "lost"
    assert 1 <= end["seconds"] < 60
    again = street.order(ref, number) | {"seconds": 60, "asks": f"{street.ours.url}/asks/x", "finds_machines": False}
    assert street.ask("POST", "/calls", again)[1]["status"] == "lost"
    assert street.count(rings=number) == 1


def test_a_trunk_that_is_stopped_lets_its_calls_end_and_takes_no_more(street: Street) -> None:
    number = "15550107771"
    street.call(number, {"says": [WORDS]})
    until(lambda: street.has(answered=number), "an answer")
    street.stop(signal.SIGTERM)
    assert street.end_of(number)["status"] == "completed"
    assert likeness(asyncio.run(spoken("Polly.Joanna", WORDS)), street.heard_by(number)) > 0.95
    street.start()


def test_more_calls_than_lines_wait_their_turn_and_more_than_may_wait_are_refused(street: Street) -> None:
    street.stop()
    street.start(POSTMETER_SIP_LINES="1")
    numbers = [f"155501078{n}" for n in range(60, 71)]
    for number in numbers:
        street.call(number, {"says": []})
    full = street.order("99999", "15550107899") | {"seconds": 60, "asks": "http://127.0.0.1/", "finds_machines": False}
    status, answer = street.ask("POST", "/calls", full)
    assert (status, "lines" in answer["words"]) == (429, True)
    fax = street.order("99998", "15550107899") | {"header": "", "zone": "", "tiff": ""}
    assert street.ask("POST", "/faxes", fax)[0] == 429
    assert not (street.folder / "trunk" / "99998.tiff").exists()
    assert {street.end_of(number)["status"] for number in numbers} == {"completed"}
    assert street.ask("GET", "/jobs/99999")[0] == 404
    street.stop()
    street.start()


def test_calls_that_come_in_are_refused(street: Street) -> None:
    street.call("15550109200", {"says": []})  # so that the carrier knows us
    street.end_of("15550109200")
    street.ring_the_trunk()
    until(lambda: street.has(taken=False) or street.has(taken=True), "an answer of the trunk")
    assert [event["words"] for event in street.events if "taken" in event] == ["Call rejected: 486 Busy Here"]
