"""Kannel at the simulator's message centre: what our side is tried against speaks SMPP as others understand it."""

from collections.abc import Iterator

import pytest

from tests.messaging.smpp.conftest import Centre
from tests.peers.kannel import Kannel
from tests.stage import until

pytestmark = pytest.mark.peer
US = "+15550100900"
LONG = "The quick brown fox jumps over the lazy dog, and again: {€}. " * 5
POLISH = "Dzień dobry, Łukasz! 🦊 " * 8


@pytest.fixture(scope="module")
def kannel(simulator_with_centre: Centre) -> Iterator[Kannel]:
    with Kannel(simulator_with_centre.port) as kannel:
        yield kannel


@pytest.mark.parametrize(
    ("to", "text", "unicode", "parts"),
    [
        ("+15550117001", "See you at nine, for £3 {€}.", False, 1),
        ("+15550117002", LONG, False, 3),
        ("+15550117003", "Łukasz 🦊", True, 1),
        ("+15550117004", POLISH, True, 3),
    ],
)
def test_what_kannel_sends_is_read_whole_and_its_receipts_arrive(
    centre: Centre, kannel: Kannel, to: str, text: str, unicode: bool, parts: int
) -> None:
    kannel.send(US, to, text, name=to[1:], unicode=unicode)
    until(lambda: centre.texts(to) == [text], "the text", lambda: f"{centre.texts(to)}\n{kannel.log()}")
    assert len(centre.parts(to)) == parts
    # 8: the centre has it; 1: the phone has it. Kannel asks for the last part's.
    until(lambda: {"8", "1"} <= set(kannel.receipts.get(to[1:], [])), "the receipts", kannel.log)


def test_a_refusal_of_the_centre_is_one_to_kannel(centre: Centre, kannel: Kannel) -> None:
    kannel.send(US, "+15550111211", "Hi", name="refused")  # an address that is none
    until(lambda: "16" in kannel.receipts.get("refused", []), "the refusal", kannel.log)  # 16: the centre refused it


@pytest.mark.parametrize("text", ["Yes £3 {€}", LONG.strip(), POLISH.strip()])
def test_what_people_write_comes_to_kannel_whole(centre: Centre, kannel: Kannel, text: str) -> None:
    before = len(kannel.came)
    centre.write("+15550117009", US, text)
    until(lambda: len(kannel.came) > before, "the text", kannel.log)
    [came] = kannel.came[before:]
    assert (came["from"].lstrip("+"), came["to"].lstrip("+"), came["text"]) == ("15550117009", US[1:], text)
