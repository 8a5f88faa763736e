"""What a call measures, and what is said on it. Pure.

A call is priced in started minutes. Before it is made as many are held as it needs to say everything once, slowly; it ends there
unless more are held (A-05). What is said around the text is ours, in the customer's language.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from postmeter.kit.refusals import BadInput
from postmeter.messaging.channels.sms import Empty, Unsendable

MINUTE = 60  # seconds: the increment
TEXT_AT_MOST = 1_500  # characters
ENCODING = "VOICE"
SECONDS_AROUND = 35  # who calls, which keys there are, and time to press one
CHARACTERS_A_SECOND = 10  # slowly; usual are 14


def count(text: str) -> tuple[str, int]:
    """The minutes in which it is surely said once. Refuses what cannot be spoken."""
    if not text.strip():
        raise Empty(field="text", remedy="Write what is to be said.")
    if len(text) > TEXT_AT_MOST:
        raise BadInput("This text is too long for a call.", field="text", remedy=f"Use at most {TEXT_AT_MOST:,} characters.")
    if any((character < " " and character not in "\n\r\t") or "\ud800" <= character <= "\udfff" for character in text):
        raise Unsendable(field="text", remedy="Take out what is not visible.")
    return ENCODING, minutes(SECONDS_AROUND + len(text) / CHARACTERS_A_SECOND)


def minutes(seconds: float) -> int:
    """Started ones."""
    return -int(-seconds // MINUTE)


class Key(StrEnum):
    """What keys are for."""

    REPEAT = "repeat"
    CONFIRM = "confirm"
    CANCEL = "cancel"
    TALK = "talk"
    STOP = "stop"
    AGREE = "agree"


# Languages that what is said around a text is written in, each with the voices that speak it (Amazon Polly's, at Twilio).
VOICES: Mapping[str, Mapping[str, str]] = {
    "en-US": {"Polly.Joanna": "Joanna, a woman", "Polly.Matthew": "Matthew, a man"},
    "en-GB": {"Polly.Amy": "Amy, a woman", "Polly.Brian": "Brian, a man"},
    "es-US": {"Polly.Lupe": "Lupe, a woman", "Polly.Miguel": "Miguel, a man"},
    "es-ES": {"Polly.Lucia": "Lucia, a woman", "Polly.Enrique": "Enrique, a man"},
    "fr-CA": {"Polly.Chantal": "Chantal, a woman"},
    "fr-FR": {"Polly.Lea": "Léa, a woman", "Polly.Mathieu": "Mathieu, a man"},
}
LANGUAGES = {
    "en-US": "English (United States)",
    "en-GB": "English (United Kingdom)",
    "es-US": "Spanish (United States)",
    "es-ES": "Spanish (Spain)",
    "fr-CA": "French (Canada)",
    "fr-FR": "French (France)",
}

_WORDS = {
    "en": {
        "opening": "This is an automated call from {name}.",
        "stop": "To get no more of these calls, press {key}.",
        "repeat": "To hear this again, press {key}.",
        "confirm": "To confirm, press {key}.",
        "cancel": "To cancel, press {key}.",
        "talk": "To talk to us, press {key}.",
        "agree": "To agree, press {key}. To refuse, press {stop}.",
        "question": "May we call you about your visits and bills?",
        "stopped": "You will get no more of these calls.",
        "confirmed": "Thank you. We have noted that you confirm.",
        "cancelled": "We have noted that you cancel, and will contact you if there is a question.",
        "agreed": "Thank you. We will call you.",
        "connecting": "We connect you now.",
        "busy": "Nobody can take your call now. Please call us at {number}.",
        "not_connected": "We cannot connect you now. Please call us at {number}.",
        "no_meaning": "This key does nothing here.",
        "call_back": "We have a message for you. Please call us at {number}.",
        "ends": "We are sorry: this call ends now. Please call us at {number}.",
        "reach": "You can reach us at {number}.",
        "goodbye": "Goodbye.",
    },
    "es": {
        "opening": "Esta es una llamada automática de {name}.",
        "stop": "Para no recibir más llamadas como esta, pulse {key}.",
        "repeat": "Para escucharlo otra vez, pulse {key}.",
        "confirm": "Para confirmar, pulse {key}.",
        "cancel": "Para cancelar, pulse {key}.",
        "talk": "Para hablar con nosotros, pulse {key}.",
        "agree": "Para aceptar, pulse {key}. Para rechazar, pulse {stop}.",
        "question": "¿Podemos llamarle sobre sus visitas y facturas?",
        "stopped": "No recibirá más llamadas como esta.",
        "confirmed": "Gracias. Hemos anotado que confirma.",
        "cancelled": "Hemos anotado que cancela, y le contactaremos si hay alguna pregunta.",
        "agreed": "Gracias. Le llamaremos.",
        "connecting": "Le comunicamos ahora.",
        "busy": "Nadie puede atenderle ahora. Por favor, llámenos al {number}.",
        "not_connected": "No podemos comunicarle ahora. Por favor, llámenos al {number}.",
        "no_meaning": "Esta tecla no hace nada aquí.",
        "call_back": "Tenemos un mensaje para usted. Por favor, llámenos al {number}.",
        "ends": "Lo sentimos: esta llamada termina ahora. Por favor, llámenos al {number}.",
        "reach": "Puede llamarnos al {number}.",
        "goodbye": "Adiós.",
    },
    "fr": {
        "opening": "Ceci est un appel automatique de {name}.",
        "stop": "Pour ne plus recevoir ces appels, appuyez sur {key}.",
        "repeat": "Pour écouter à nouveau, appuyez sur {key}.",
        "confirm": "Pour confirmer, appuyez sur {key}.",
        "cancel": "Pour annuler, appuyez sur {key}.",
        "talk": "Pour nous parler, appuyez sur {key}.",
        "agree": "Pour accepter, appuyez sur {key}. Pour refuser, appuyez sur {stop}.",
        "question": "Pouvons-nous vous appeler au sujet de vos visites et de vos factures ?",
        "stopped": "Vous ne recevrez plus ces appels.",
        "confirmed": "Merci. Nous avons noté que vous confirmez.",
        "cancelled": "Nous avons noté que vous annulez, et nous vous contacterons s'il y a une question.",
        "agreed": "Merci. Nous vous appellerons.",
        "connecting": "Nous vous mettons en relation.",
        "busy": "Personne ne peut prendre votre appel. Veuillez nous appeler au {number}.",
        "not_connected": "Nous ne pouvons pas vous mettre en relation. Veuillez nous appeler au {number}.",
        "no_meaning": "Cette touche ne fait rien ici.",
        "call_back": "Nous avons un message pour vous. Veuillez nous appeler au {number}.",
        "ends": "Nous sommes désolés : cet appel se termine. Veuillez nous appeler au {number}.",
        "reach": "Vous pouvez nous joindre au {number}.",
        "goodbye": "Au revoir.",
    },
}


@dataclass(frozen=True, slots=True)
class Script:
    """What is said on one call, in the words of its customer. `keys`: those that are offered, the digit of each."""

    language: str
    name: str
    number: str  # where people reach the customer
    keys: Mapping[Key, str]

    def word(self, which: str, **more: str) -> str:
        return _WORDS[self.language[:2]][which].format(name=self.name, number=_apart(self.number), **more)

    def opening(self) -> list[str]:
        """Who calls, and at once how to get no more calls: 47 CFR 64.1200(b)(1) and (b)(3)."""
        stop = [self.word("stop", key=self.keys[Key.STOP])] if Key.STOP in self.keys and Key.AGREE not in self.keys else []
        return [self.word("opening"), *stop]

    def menu(self) -> list[str]:
        """What keys do, and the number that 47 CFR 64.1200(b)(2) wants to be said."""
        if Key.AGREE in self.keys:
            said = [self.word("agree", key=self.keys[Key.AGREE], stop=self.keys[Key.STOP])]
        else:
            offered = (Key.CONFIRM, Key.CANCEL, Key.TALK, Key.REPEAT)
            said = [self.word(key, key=self.keys[key]) for key in offered if key in self.keys]
        return [*said, self.word("reach")]


def question(language: str) -> str:
    """What somebody is asked on a call before the first message to them (S-052)."""
    return _WORDS[language[:2]]["question"]


def _apart(number: str) -> str:
    """A number as it is read out: digit by digit."""
    return " ".join(number.lstrip("+"))
