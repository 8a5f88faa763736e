"""Texts that nobody should send: they ask for an answer that the law reads as an opt-out (A-65). Pure."""

import re

from postmeter.consent.words import STOP_WORDS
from postmeter.kit.refusals import BadInput

_PLAIN_STOPS = frozenset({"stop", "stopall", "stop all", "unsubscribe", "unsub", "optout", "opt out", "opt-out"})
_OTHERS = STOP_WORDS - _PLAIN_STOPS
_VERBS = ("reply", "respond", "answer", "text", "send", "type", "write", "répond", "repond", "envoyez")
_VERB = r"(?<!\w)(?:reply|replying|respond|answer|text|send|type|write|responda|responde|r[ée]pondez|envoyez)"
_BETWEEN = r"\s+(?:back\s+)?(?:with\s+|by\s+|con\s+|avec\s+|par\s+)?(?:the\s+word\s+)?[\"'“”‘’*«]*"
_WORDS = "|".join(sorted((re.escape(word) for word in _OTHERS | _PLAIN_STOPS), key=len, reverse=True))
_ASKS = re.compile(rf"{_VERB}{_BETWEEN}({_WORDS})\b[\"'“”‘’*»]*([^.!?;\n]*)")
_ABOUT_A_VISIT = re.compile(r"\b(?:appointment|appt|visit|booking|reservation|session|reschedul\w*|slot|cita|rendez|rdv)")
_ABOUT_TEXTS = re.compile(
    r"\b(?:opt|unsub\w*|stop|texts?|messages?|msgs?|sms|alerts?|list|subscription|mensajes|no more|out|baja|d[ée]sabonn\w*)\b"
)


class AsksForAnOptOut(BadInput):
    """Whoever answers with this word opts out of all texts: the law says so."""


def check(text: str) -> None:
    """Raises AsksForAnOptOut for a text that offers CANCEL or another stop word for anything but opting out."""
    small = text.lower()
    for verb in _VERBS:
        start = small.find(verb)
        while start >= 0:  # looking for the verbs first takes a tenth of the time: most texts are right
            if found := _ASKS.match(small, start):
                _refuse(found[1], found[2])
            start = small.find(verb, start + 1)


def _refuse(word: str, rest: str) -> None:
    plain = word in _PLAIN_STOPS
    if _ABOUT_A_VISIT.search(rest) or (not plain and rest.strip() and not _ABOUT_TEXTS.search(rest)):
        raise AsksForAnOptOut(
            f"Whoever answers {word.upper()} opts out of all your texts: the law says so.",
            field="text",
            remedy="Ask for a letter or a digit, such as “Reply C to cancel your appointment”, or for a call.",
        )
