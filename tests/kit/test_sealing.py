"""A seal is opened by its key, for its owner, unchanged, and by nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit import sealing

KEY = sealing.cipher(b"k" * 32)


@given(st.text(alphabet=st.characters(codec=None)), st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1))
def test_what_was_sealed_comes_back_and_says_nothing_meanwhile(text: str, key_id: int, whose: int) -> None:
    kept = sealing.seal(text, key_id=key_id, with_=KEY, whose=whose)
    if not text:
        assert kept == ""
        return
    assert sealing.key_id_of(kept) == key_id
    assert sealing.unseal(kept, with_=KEY, whose=whose) == text
    assert kept != sealing.seal(text, key_id=key_id, with_=KEY, whose=whose), "equal texts do not look equal"
    assert len(text) < 4 or text not in kept


def test_another_key_another_owner_or_a_changed_letter_opens_nothing() -> None:
    kept = sealing.seal("See you at ten", key_id=7, with_=KEY, whose=1)
    changed = kept[:-6] + ("A" if kept[-6] != "A" else "B") + kept[-5:]
    for text, key, whose in ((kept, sealing.cipher(b"x" * 32), 1), (kept, KEY, 2), (changed, KEY, 1)):
        with pytest.raises(sealing.Unreadable):
            sealing.unseal(text, with_=key, whose=whose)


@pytest.mark.parametrize("text", ["", "See you at ten", "\x01", "\x01not base64!", " \x01AAAA"])
def test_what_was_never_sealed_names_no_key_that_there_is(text: str) -> None:
    assert sealing.key_id_of(text) in (None, 0)


def test_a_key_is_kept_under_another_for_its_owner_alone() -> None:
    mine = sealing.new_key()
    wrapped = sealing.wrap(mine, under=b"u" * 32, whose=1)
    assert mine not in wrapped
    assert sealing.unwrap(wrapped, under=b"u" * 32, whose=1) == mine
    for under, whose in ((b"v" * 32, 1), (b"u" * 32, 2)):
        with pytest.raises(sealing.Unreadable):
            sealing.unwrap(wrapped, under=under, whose=whose)
