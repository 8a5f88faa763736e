"""What a reply asks for: to be left alone, to be written to again, or help. Pure.

A keyword counts however it is dressed: case, accents, punctuation, spaces between its letters, letters of other scripts that look
the same. Any reasonable wording counts too (47 CFR 64.1200(a)(10), in force since 11 April 2025); carriers read single words only, so
this is where "please stop texting me" is heard. Who merely uses such a word ("I'll stop by at five") keeps their messages.
"""

import re
import unicodedata
from enum import StrEnum


class Wish(StrEnum):
    """What a reply asks for."""

    STOP = "stop"
    WRONG_NUMBER = "wrong_number"  # they are not who we think: never again, and somebody has to know
    START = "start"
    AGREE = "agree"  # to a question that is open; otherwise a yes is for people
    HELP = "help"


# The words that the FCC calls revocation per se, the carriers' lists, and theirs in Spanish and French (promises.md, Keywords).
_ENGLISH = "stop stopall unsubscribe unsub cancel end quit revoke optout remove"
_SPANISH = "alto parar pare basta detener cancelar baja"
_FRENCH = "arret arreter arretez desabonner desabonnement desinscrire td"
_TOGETHER = {"stop all", "opt out", "end all", "cancel all", "remove me", "no more", "darme de baja", "dar de baja", "no mas"}
STOP_WORDS = frozenset(f"{_ENGLISH} {_SPANISH} {_FRENCH}".split()) | _TOGETHER | {"me desinscrire"}
START_WORDS = frozenset({"start", "unstop", "optin", "opt in", "comenzar", "demarrer"})
YES_WORDS = frozenset({"yes", "y", "yes please", "yeah", "yep", "ok", "okay", "sure", "agree", "i agree", "si", "oui", "daccord"})
HELP_WORDS = frozenset({"help", "info", "ayuda", "aide", "aidez moi", "help me"})

_ONLY_SPANISH = frozenset((_SPANISH + " comenzar ayuda baja mas mensajes numero equivocado quiero deseo envien gracias").split())
_ONLY_FRENCH = frozenset((_FRENCH + " demarrer aide envoyez ecrivez messages mauvais numero merci vous svp").split()) - {
    "messages",
    "numero",
}

# Said around a keyword without changing it.
_AROUND = (
    "please pls plz plse kindly thanks thank thx ty you u now immediately asap right away already just ok okay again hi hello hey "
    "sir madam maam dear everything it this that these those at once all thing sorry yes no do so and the forever permanently today "
    "por favor gracias ya si merci svp vous plait sil maintenant"
)
_POLITE = frozenset(_AROUND.split())
_TWICE = re.compile(r"(\w)\1+")
_STOPS = STOP_WORDS | {_TWICE.sub(r"\1", word) for word in STOP_WORDS}  # "STOPALLLL" is held down to "stopal"

# Letters of other scripts that look like Latin ones; what else is folded, Unicode's own rules fold (NFKC, NFD).
_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеѕіјорсухԁѵΑΒΕΖΗΙΚΜΝΟΡΤΥΧορν",
    "ABESIJKMHOPCTYXaesijopcyxdvABEZHIKMNOPTYXopv",
)

_STOP = r"(?:st+o*p+|sotp|quit|cease|discontinue|halt|end|cancel|block|disable|turn off|switch off|shut off|terminate)"
_TOLD = (
    r"(?:text\w*|txt\w*|messag\w*|msg\w*|sms\w*|contact\w*|send\w*|remind\w*|notif\w*|alert\w*|spam\w*|call\w*|writ\w*|bother\w*"
    r"|disturb\w*|harass\w*|e ?mail\w*|bugg\w*|ping\w*|reach\w*|communicat\w*|updates?)"
)
_REACHED = r"(?:text\w*|contact\w*|messag\w*|call\w*|remind\w*|notif\w*|bother\w*|on)"
_NOT = r"(?:do not|dont|don t|never|please no|no longer|not)"
_TO_ME = r"(?:me|us|my|this (?:number|phone)|here)"
_LIST = r"(?:off|from|list|number|database|system|records?|phone|info|details|contacts?|name|here|out)"
_ASKS_TO_STOP = re.compile(
    "|".join(
        [
            rf"\b{_STOP} (?:\w+ ){{0,4}}?{_TOLD}\b",
            rf"\b{_NOT} (?:\w+ ){{0,2}}?{_TOLD} (?:\w+ )?{_TO_ME}\b",
            rf"^(?:\w+ )?{_NOT} (?:ever )?(?:text|message|contact|write|call|txt|msg)(?: again| anymore| any more)?$",
            rf"\bno more (?:\w+ ){{0,2}}?{_TOLD}\b",
            rf"\b{_NOT} (?:want|wish|need|like|care|consent|agree|authorize|asked?|signed? up)\b(?: \w+){{0,5}}? {_TOLD}\b",
            rf"\b{_NOT} (?:want|wish) to (?:receive|hear from|be {_REACHED})\b",
            rf"\b{_NOT} (?:want|need|like) (?:any of )?(?:these|this|it|them)(?: anymore| any more| please| thanks)*$",
            rf"\b(?:remove|take|delete|drop|erase|scrub|unlist|strike) (?:me|us|my|this|mine)\b(?: \w+){{0,3}}? {_LIST}\b",
            r"\bget (?:me|us|my name|my number) (?:off|out)\b",
            r"\b(?:remove|unlist|unsubscribe|unsub|delete|drop|exclude) (?:me|us)\b",
            r"\b(?:unsubscribe|unsubscribing|unsubscribed|unsub|opt(?:ing|ed)? (?:me |us )?out|optout)\b",
            r"\b(?:revoke|withdraw|rescind|retract|cancel) (?:\w+ )?(?:consent|permission|authorization|subscription|opt ?in)\b",
            r"\b(?:leave (?:me|us) alone|go away|(?:lose|forget) (?:my|this) number|get lost|fuck off|piss off|buzz off)\b",
            r"\bnot interested\b",
            r"\b(?:cut it out|knock it off|enough already|make it stop|stop (?:it|this|that|them|these)(?: \w+)?)$",
            r"^(?:\w+ )?(?:want|wish|would like|d like|need) (?:to )?(?:\w+ )?(?:stop|out|off)(?: please)?$",
            r"\b(?:no quiero|no deseo|ya no)(?: \w+){0,3}? (?:mensajes|textos|recibir|recordatorios)\b",
            r"\b(?:no|dejen?|deje|paren|pare) (?:de )?(?:me )?(?:envi\w+|mand\w+|escrib\w+|mas mensajes)\b",
            r"\b(?:quit(?:eme|enme)|borr(?:eme|enme)|elimin(?:eme|enme|ar mi))\b",
            r"\bne (?:plus|pas|me)(?: \w+){0,3}? [md]?(?:envoy\w+|ecri\w+|contact\w+|recevoir|appel\w+)\b",
            r"\b(?:plus de|arrete[zr]?)(?: \w+){0,3}? [md]?(?:messages?|textos?|sms|envoy\w+|ecri\w+|contact\w+)\b",
            r"\b(?:retirez|supprimez|enlevez|desabonnez|desinscrivez) (?:moi|mon)\b|\b(?:retirer|supprimer) mon\b",
        ]
    )
)
_WRONG = re.compile(
    r"\bwrong (?:number|person|phone|guy|lady)\b|\b(?:numero equivocado|mauvais numero|not (?:this|the right|my) (?:person|number))\b"
    r"|\byou have the wrong\b|\bthis is(?: \w+)? no longer (?:\w+ ){1,2}(?:number|phone)\b"
)
# What takes the wish out of the words: it is not asked for, or it is about something else.
_NOT_MEANT = re.compile(
    r"\b(?:do not|dont|don t|never|didnt|didn t|did not|without|cannot|cant|can t|wont|won t|not going to) (?:\w+ ){0,2}?"
    r"(?:stop|quit|unsubscribe|opt|remove|end|cancel)\w*\b"
    r"|\b(?:did you|have you|why did|why were|why was|when did)\b|\b(?:dont|don t|do not|never) forget\b"
    r"|\b(?:stop|cancel|end|move|reschedule|remind\w* me (?:of|about|when|again)) (?:\w+ ){0,3}?"
    r"(?:appointment|appt|booking|visit|session|medication|meds|pills?|treatment|exercises?|cita|rendez)\w*\b"
    r"|\bif you (?:do not|dont|don t)\b|\bnot (?:call|text|message)\w* (?:back|you)\b"
)
_CLAUSES = re.compile(r"[.!?;\n\u2026]+")


def wish(text: str) -> Wish | None:
    """What this reply asks for; None: nothing of the kind, it is for people to read. STOP goes before all others (A-66)."""
    folded = fold(text)
    if not folded:
        return None
    meant = " ".join(word for word in folded.split() if word not in _POLITE)
    if _is(folded, _STOPS) or _is(meant, _STOPS):
        return Wish.STOP
    if _WRONG.search(folded):
        return Wish.WRONG_NUMBER
    # Clause by clause: "I did not sign up. Stop texting me" is not "I did not … stop".
    if any(_ASKS_TO_STOP.search(clause) and not _NOT_MEANT.search(clause) for clause in map(fold, _CLAUSES.split(text))):
        return Wish.STOP
    if _is(folded, START_WORDS) or _is(meant, START_WORDS):
        return Wish.START
    if _is(folded, HELP_WORDS) or _is(meant, HELP_WORDS):
        return Wish.HELP
    return None


def agrees(text: str) -> bool:
    """A plain yes: counts where somebody was asked and has not answered (A-66). STOP goes before it."""
    folded = fold(text)
    return wish(text) is None and (folded in YES_WORDS or " ".join(w for w in folded.split() if w not in _POLITE) in YES_WORDS)


def says_cancel(text: str) -> bool:
    """CANCEL and nothing else: an opt-out, and perhaps meant for an appointment (A-65)."""
    return _is(
        " ".join(word for word in fold(text).split() if word not in _POLITE), frozenset({"cancel", "cancelar", "cancel all"})
    )


def language(text: str) -> str:
    """The language of the keyword in it, as ISO 639-1: what an answer is written in."""
    said = set(fold(text).split())
    if said & _ONLY_SPANISH:
        return "es"
    return "fr" if said & _ONLY_FRENCH else "en"


def _is(said: str, words: frozenset[str]) -> bool:
    """The keyword, also said twice, and with a letter held down."""
    return bool(said) and (said in words or _short(said) in words or set(said.split()) <= words)


def _short(word: str) -> str:
    return _TWICE.sub(r"\1", word)


def fold(text: str) -> str:
    """Small letters of one script without accents, words with one space between: "Ｓ.Т.O.P!!" is "stop"."""
    plain = unicodedata.normalize("NFKC", text).translate(_LOOKALIKES)
    bare = "".join(each for each in unicodedata.normalize("NFD", plain.casefold()) if not unicodedata.combining(each))
    words = re.sub(r"[^\w]+|_", " ", bare.replace("'", "").replace("\u2019", "")).split()
    if len(words) > 1 and all(len(word) == 1 for word in words):
        words = ["".join(words)]  # s t o p
    return " ".join(_spelled(word) for word in words)


def _spelled(word: str) -> str:
    """Without the letters that were held down (stoooop), and with an o for the nought between letters (st0p)."""
    letters = word.replace("0", "o") if not word.isdigit() else word
    return re.sub(r"(\w)\1{2,}", r"\1", letters)
