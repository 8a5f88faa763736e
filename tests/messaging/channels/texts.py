"""Texts that are likely to be measured wrongly: extension characters, emoji of many code points and accents near boundaries."""

from hypothesis import strategies as st

from postmeter.messaging.channels.sms import BASIC, EXTENSION

ZWJ_EMOJI = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚀", "❤️‍🔥", "🇦🇺", "👍🏿", "1️⃣", "🤟🏻"]
ACCENTS = ["e\u0301", "n\u0303", "é\u0301\u0301", "a\u0308", "\u0301"]
PUNCTUATION = ["’", "“", "—", "…", "\u00a0", "\u200b", "\r\n", "\t"]
SCRIPTS = ["Привет", "中文", "שלום", "नमस्ते", "ไทย", "Α", "ç"]

EDGES = [66, 67, 68, 69, 70, 71, 133, 134, 135, 152, 153, 154, 159, 160, 161, 200, 201, 305, 306, 307, 459, 460]


def _visible(text: str) -> bool:
    return any(character.isalnum() for character in text)


@st.composite
def _around_an_edge(draw: st.DrawFn, special: st.SearchStrategy[str]) -> str:
    """A run that ends close to a segment's edge, something special, and some more."""
    filler = draw(st.sampled_from("aéΔ中"))
    before = draw(st.sampled_from(EDGES)) - draw(st.integers(0, 4))
    return filler * before + "".join(draw(st.lists(special, min_size=1, max_size=6))) + filler * draw(st.integers(0, 200))


def texts(*, graphemes: bool = True) -> st.SearchStrategy[str]:
    """Sendable texts up to some 700 characters; without `graphemes` each visible character is one code point."""
    gsm = st.sampled_from(BASIC + EXTENSION).filter(lambda c: c != "\r")
    singles = st.sampled_from([*EXTENSION, "😀", "𝔘", "’", "—", "Ж", "中", "ç"])
    pieces = [gsm, singles, st.sampled_from([*ZWJ_EMOJI, *ACCENTS, *PUNCTUATION, *SCRIPTS])] if graphemes else [gsm, singles]
    return st.one_of(
        st.text(gsm, min_size=1, max_size=400),
        st.lists(st.one_of(pieces), min_size=1, max_size=200).map("".join),
        *(_around_an_edge(piece) for piece in pieces),
        *(
            [st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=160)]
            if graphemes
            else []
        ),
    ).filter(_visible)
