import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.ids import NoSuchId, PublicIds
from postmeter.kit.refusals import NotFound

IDS = PublicIds(bytes(range(16)))
ids = st.integers(1, 2**63 - 1)


@given(ids)
def test_an_id_comes_back_as_it_went_out(number: int) -> None:
    public = IDS.encode("SM", number)
    assert re.fullmatch(r"SM[0-9a-f]{32}", public)
    assert IDS.decode("SM", public) == number


@given(st.lists(ids, max_size=50))
def test_many_at_once_are_the_same_as_one_by_one(numbers: list[int]) -> None:
    assert IDS.encode_many("SM", numbers) == [IDS.encode("SM", number) for number in numbers]


def test_ids_stay_the_same_from_release_to_release() -> None:
    """Customers keep them for years: a change here would lose every one of them."""
    assert IDS.encode("SM", 1) == "SM1565c4a71ed30c49b2f6fef668903700"


def test_neighbours_tell_nothing_about_each_other() -> None:
    first, second = IDS.encode_many("SM", (1000, 1001))
    assert sum(a == b for a, b in zip(first[2:], second[2:], strict=True)) < 12


def test_an_id_of_another_kind_is_not_found() -> None:
    with pytest.raises(NoSuchId):
        IDS.decode("MG", "MG" + IDS.encode("SM", 5)[2:])


def test_an_id_of_another_install_is_not_found() -> None:
    with pytest.raises(NoSuchId):
        PublicIds(b"another key here").decode("SM", IDS.encode("SM", 5))


@given(st.binary(min_size=16, max_size=16))
def test_a_made_up_id_is_not_found(block: bytes) -> None:
    with pytest.raises(NotFound):
        IDS.decode("SM", "SM" + block.hex())


@given(st.integers(0, 33), st.sampled_from("0123456789abcdefgSM"))
def test_one_changed_character_is_enough_to_be_refused(position: int, character: str) -> None:
    public = IDS.encode("SM", 123456789)
    changed = public[:position] + character + public[position + 1 :]
    if changed != public:
        with pytest.raises(NoSuchId):
            IDS.decode("SM", changed)


@pytest.mark.parametrize(
    "text", ["", "SM", "5", "SM5", "sm" + "0" * 32, "SM" + "0" * 31, "SM" + "0" * 33, "SM" + "０" * 32, "SM\n" + "0" * 31]
)
def test_what_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NoSuchId):
        IDS.decode("SM", text)


def test_an_id_has_one_spelling() -> None:
    public = IDS.encode("SM", 5)
    for other in ("SM" + public[2:].upper(), public + " ", public + "\n", " " + public):
        with pytest.raises(NoSuchId):
            IDS.decode("SM", other)


@pytest.mark.parametrize("number", [0, -1, 2**63])
def test_only_ids_of_rows_can_go_out(number: int) -> None:
    with pytest.raises(ValueError, match="not an id"):
        IDS.encode("SM", number)


@pytest.mark.parametrize("prefix", ["", "S", "SMS", "S1", "ÄÖ"])
def test_a_prefix_is_two_letters(prefix: str) -> None:
    with pytest.raises(ValueError, match="two letters"):
        IDS.encode(prefix, 1)


def test_a_key_has_sixteen_bytes() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PublicIds(b"short")
