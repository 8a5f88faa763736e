"""STOP, START and HELP however they are said: a labelled set of phrases, every dress of a keyword, and never a word too many."""

import string
from pathlib import Path

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from postmeter.consent import queries
from postmeter.consent.models import OptOut
from postmeter.consent.words import HELP_WORDS, START_WORDS, STOP_WORDS, Wish, fold, wish
from postmeter.db import calls, scope
from postmeter.messaging.inbound import receive
from postmeter.messaging.providers import Received
from tests.cast import Cast, number

PHRASES = [
    tuple(line.split("\t", 1))
    for line in (Path(__file__).parent / "phrases.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
KEYWORDS = [
    "STOP",
    "STOPALL",
    "STOP ALL",
    "UNSUBSCRIBE",
    "CANCEL",
    "END",
    "QUIT",
    "REVOKE",
    "OPTOUT",
    "OPT OUT",
    "OPT-OUT",
    "REMOVE",
]
LOOKALIKE = {
    "a": "\u0430",
    "e": "\u0435",
    "o": "\u043e",
    "p": "\u0440",
    "c": "\u0441",
    "t": "\u0422",
    "s": "\u0455",
    "i": "\u0456",
}


def read(text: str) -> str:
    return str(wish(text.replace("\\n", "\n")) or "none")


def test_the_set_is_large_enough_to_say_something() -> None:
    """promises.md G13."""
    assert len(PHRASES) >= 300
    assert len({text for _, text in PHRASES}) == len(PHRASES)


def test_at_least_99_of_100_wishes_to_be_left_alone_are_heard() -> None:
    asked = [text for label, text in PHRASES if label in ("stop", "wrong_number")]
    missed = [text for text in asked if read(text) not in ("stop", "wrong_number")]
    assert len(missed) * 100 <= len(asked), missed


def test_nobody_is_cut_off_who_asked_for_nothing_of_the_kind() -> None:
    others = [(label, text) for label, text in PHRASES if label not in ("stop", "wrong_number")]
    wrong = [(text, read(text)) for label, text in others if read(text) != label]
    assert not wrong


@pytest.mark.parametrize("word", KEYWORDS)
def test_no_keyword_of_the_law_and_the_carriers_is_missed_in_any_dress(word: str) -> None:
    dresses = [
        word,
        word.lower(),
        word.title(),
        f"  {word}  ",
        f"{word}.",
        f"“{word}”!",
        f"{word} please",
        f"Please {word}",
        f"{word}\n",
        f"\u200b{word}\u200b",
        "".join(chr(ord(each) + 0xFEE0) if each in string.ascii_uppercase else each for each in word),  # full width
        "".join(LOOKALIKE.get(each, each) for each in word.lower()),
        " ".join(word.replace(" ", "").replace("-", "")),
        word[:-1] + word[-1] * 4,
    ]
    assert {dress: wish(dress) for dress in dresses} == dict.fromkeys(dresses, Wish.STOP)


def test_no_word_has_two_meanings() -> None:
    assert not STOP_WORDS & START_WORDS
    assert not (STOP_WORDS | START_WORDS) & HELP_WORDS
    assert all(word == fold(word) for word in STOP_WORDS | START_WORDS | HELP_WORDS), "a word that folding changes is never found"


def test_cancel_alone_is_an_opt_out_and_with_an_appointment_is_for_a_person() -> None:
    assert wish("CANCEL") == Wish.STOP
    assert wish("Cancel my appointment") is None


@given(st.text(max_size=200))
def test_whatever_comes_is_read_and_folding_twice_is_folding_once(text: str) -> None:
    wish(text)
    assert fold(fold(text)) == fold(text) or len(fold(text).split()) > 1


@given(
    st.sampled_from(KEYWORDS),
    st.text(alphabet=".!?,;:-*() \t\n\"'", max_size=8),
    st.text(alphabet=".!?,;:-*() \t\n\"'", max_size=8),
)
def test_punctuation_around_a_keyword_changes_nothing(word: str, before: str, after: str) -> None:
    assert wish(before + word + after) == Wish.STOP


def test_a_long_text_is_read_in_no_time_that_grows_with_its_square() -> None:
    """Each expression looks a few words ahead at most: a text of ten segments of nearly-matches ends."""
    assert wish("do not " * 200 + "x") is None
    assert wish("stop a b c " * 150) is None


@pytest.mark.parametrize(
    ("text", "is_out", "source"),
    [
        ("please stop texting me", True, "reply"),
        ("ЅТОР", True, "reply"),
        ("Wrong number!", True, "wrong number"),
        ("I'll stop by at five", False, ""),
        ("HELP", False, ""),
    ],
)
def test_a_reply_is_obeyed_at_zero_credit_in_the_transaction_that_keeps_it(
    cast: Cast, text: str, is_out: bool, source: str
) -> None:  # A-68 A-73 A-75
    clinic = cast.clinic(credit_micros=0)
    who = number(77)
    word = Received(sender=who, recipient=clinic.customer.sender, body=text, ref=f"SM{calls.next_id()}")
    for _ in range(2):
        receive(provider="twilio", word=word, now=timezone.now())
    with scope.customer(clinic.id):
        kept = OptOut.objects.filter(customer_id=clinic.id, channel="sms")
        assert [row.source for row in kept] == ([source] if is_out else [])
    assert queries.opted_out(customer_id=clinic.id, channel="sms", addresses=[who]) == (
        frozenset({who}) if is_out else frozenset()
    )


def test_start_takes_it_back_and_yes_does_not(cast: Cast) -> None:
    clinic, who = cast.clinic(credit_micros=0), number(78)
    for text, out in (("Stop texting me", True), ("yes", True), ("START", False)):
        word = Received(sender=who, recipient=clinic.customer.sender, body=text, ref=f"SM{calls.next_id()}")
        receive(provider="twilio", word=word, now=timezone.now())
        assert bool(queries.opted_out(customer_id=clinic.id, channel="sms", addresses=[who])) is out
