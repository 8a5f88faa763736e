"""What each of the words that we send by ourselves measures, in every language that we ship; the guide's table says the same (A-47)."""

from pathlib import Path

import pytest

from postmeter.consent.words import Wish
from postmeter.messaging.answers import answer, question
from postmeter.messaging.channels import sms

GUIDE = Path(__file__).parents[2] / "docs/guides/consent-and-replies.md"
LANGUAGES = ("en", "es", "fr")
EMAIL = "reception.desk@harbour-physio.example"
LATIN = "Saint-Jérôme Children’s Physiotherapy Practice"  # longer than what is said of it
OTHER = "北港物理治疗与康复中心诊所" * 4
MOST = {sms.Encoding.GSM7: 1, sms.Encoding.UCS2: 3}
ROWS = {
    "confirmation of STOP": (Wish.STOP, False),
    "the same after CANCEL": (Wish.STOP, True),
    "welcome after START": (Wish.START, False),
    "thank-you for a YES": (Wish.AGREE, False),
    "HELP": (Wish.HELP, False),
}


def measured(name: str) -> dict[tuple[str, str], tuple[sms.Encoding, int]]:
    found = {
        (row, language): sms.count(answer(wish, name=name, email=EMAIL, language=language, stands=stands))
        for row, (wish, stands) in ROWS.items()
        for language in LANGUAGES
    }
    return found | {("question for consent", each): sms.count(question(name=name, language=each)) for each in LANGUAGES}


def table() -> list[str]:
    plain, wide = measured(LATIN), measured(OTHER)
    rows = []
    for row in (*ROWS, "question for consent"):
        cells = [
            f"{plain[row, each][1]} in {plain[row, each][0]}, {wide[row, each][1]} in {wide[row, each][0]}" for each in LANGUAGES
        ]
        rows.append("| " + " | ".join([row, *cells]) + " |")
    return rows


@pytest.mark.parametrize("name", [LATIN, OTHER, "Harbour ❤️ Physio 🦴", "[Harbour]", "Ünïcödé Clinic™"])
def test_none_of_our_words_is_longer_than_documented(name: str) -> None:
    for what, (encoding, segments) in measured(name).items():
        assert segments <= MOST[encoding], what


@pytest.mark.parametrize("name", ["Harbour ❤️ Physio", "Zoë’s Clinic 🇦🇺", "Cafe\u0301 “Santé” — Physio", "Harbour\u200b Physio"])
def test_a_stray_sign_in_a_name_makes_no_text_dear(name: str) -> None:
    assert set(measured(name).values()) == {(sms.Encoding.GSM7, 1)}


def test_a_name_in_another_script_is_said_as_it_is() -> None:
    assert answer(Wish.STOP, name="北港诊所 ❤", email=EMAIL).startswith("北港诊所 ❤:")


def test_the_guide_says_what_they_measure() -> None:
    said = GUIDE.read_text()
    assert [row for row in table() if row not in said] == []
