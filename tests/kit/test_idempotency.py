from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmeter.kit.idempotency import BadKey, Part, check_key, digest

leaves = st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.uuids()
parts = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


def exact(part: Part) -> str:
    """A spelling that keeps types apart and mappings in order, to compare by."""
    if isinstance(part, dict):
        return f"{{{sorted((key, exact(value)) for key, value in part.items())}}}"
    if isinstance(part, list | tuple):
        return f"[{[exact(each) for each in part]}]"
    return f"{type(part).__name__} {part!r}"


@given(parts, parts)
def test_digests_are_equal_if_and_only_if_the_parts_are(one: Part, other: Part) -> None:
    assert (digest(one) == digest(other)) == (exact(one) == exact(other))


def test_where_one_part_ends_and_the_next_begins_matters() -> None:
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(["ab", "c"]), digest("ab", "c", "")}) == 5


def test_types_are_kept_apart() -> None:
    assert (
        len({digest(1), digest("1"), digest(b"1"), digest(True), digest("True"), digest(None), digest("None"), digest([])}) == 8
    )


def test_the_order_of_a_mapping_does_not_matter_but_that_of_a_list_does() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])


def test_digests_stay_the_same_from_release_to_release() -> None:
    """They stand in the database: a change would make repeats look new."""
    assert digest("customer", 5, b"body", None, {"to": ["+14155550100"]}) == UUID("5f985639-de47-e664-8b36-3b975922e908")


@pytest.mark.parametrize("part", [1.5, object(), {"a": 0.1}])
def test_what_has_no_single_spelling_has_no_digest(part: object) -> None:
    with pytest.raises(TypeError, match="canonical"):
        digest(part)  # type: ignore[arg-type]


@pytest.mark.parametrize("key", ["a", "!" * 255, "0f8fad5b-d9cb-469f-a165-70867728950e", "~!@#$%^&*()"])
def test_keys_of_visible_ascii_are_accepted(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "a" * 256, "a b", "a\n", "a\x00", "é", "\x7f", "１", "\t"])
def test_other_keys_are_refused_and_told_what_to_use(key: str) -> None:
    with pytest.raises(BadKey) as refusal:
        check_key(key)
    assert refusal.value.field == "Idempotency-Key"
    assert "1 to 255" in str(refusal.value)
