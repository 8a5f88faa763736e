"""What we say by ourselves to STOP, HELP and START: fixed words, one segment each, free for the customer.

After an opt-out exactly one text may follow: it confirms, sells nothing and goes within five minutes (47 CFR 64.1200(a)(12)).
Pure.
"""

import unicodedata
from datetime import timedelta

from postmeter.consent.words import Wish
from postmeter.messaging.channels import sms

CONFIRM_WITHIN = timedelta(minutes=5)

_WORDS = {
    ("en", Wish.STOP): "{name}: You are opted out and will get no more texts from us. Reply START to opt in again.",
    ("es", Wish.STOP): "{name}: Se dio de baja y no recibirá más mensajes nuestros. Responda START para volver a recibirlos.",
    ("fr", Wish.STOP): "{name}: Vous êtes désabonné et ne recevrez plus de messages. Répondez START pour vous réabonner.",
    ("en", Wish.HELP): "{name}: For help write to {email}. Message and data rates may apply. Reply STOP to opt out.",
    ("es", Wish.HELP): "{name}: Para recibir ayuda escriba a {email}. Responda STOP para darse de baja.",
    ("fr", Wish.HELP): "{name}: Pour de l'aide, écrivez à {email}. Répondez STOP pour vous désabonner.",
    ("en", Wish.AGREE): "{name}: Thank you. You will get our texts. Reply HELP for help, STOP to opt out.",
    ("es", Wish.AGREE): "{name}: Gracias. Recibirá nuestros mensajes. Responda HELP para ayuda, STOP para darse de baja.",
    ("fr", Wish.AGREE): "{name}: Merci. Vous recevrez nos messages. Répondez HELP pour de l'aide, STOP pour vous désabonner.",
    ("en", Wish.START): "{name}: You are opted in again. Reply HELP for help, STOP to opt out.",
    ("es", Wish.START): "{name}: Volvió a darse de alta. Responda HELP para ayuda, STOP para darse de baja.",
    ("fr", Wish.START): "{name}: Vous êtes réabonné. Répondez HELP pour de l'aide, STOP pour vous désabonner.",
}
# To CANCEL after a message of ours: they may have meant their appointment, and that stands.
_NOT_CANCELLED = {
    "en": "{name}: You are opted out. Your appointment is NOT cancelled: please contact us. Reply START to opt in again.",
    "es": "{name}: Se dio de baja. Su cita NO se canceló: comuníquese con nosotros. Responda START para volver.",
    "fr": "{name}: Vous êtes désabonné. Votre rendez-vous n'est PAS annulé: contactez-nous. START pour vous réabonner.",
}
# With the warning that belongs before anything about health goes by text (S-056).
_ASK = {
    "en": "{name}: May we text you about visits and bills? Reply YES, or STOP to refuse. Texts are not encrypted. Rates may apply.",
    "es": "{name}: ¿Podemos escribirle sobre visitas y facturas? Responda SI, o STOP si no. Los SMS no van cifrados. Puede tener costo.",
    "fr": "{name}: Pouvons-nous vous écrire (visites, factures)? Répondez OUI, ou STOP pour refuser. SMS non chiffrés. Frais possibles.",
}
_ASK_BY_EMAIL = {
    "en": "May {name} email you?\n"
    "{name} has a message for you and asks first whether you want to get emails from them, about visits and bills.\n"
    "Emails are not always encrypted on their way. Answer YES to agree, or open this page:",
    "es": "¿Puede {name} enviarle correos?\n"
    "{name} tiene un mensaje para usted y le pregunta antes si quiere recibir sus correos, sobre visitas y facturas.\n"
    "Los correos no siempre van cifrados. Responda SI para aceptar, o abra esta página:",
    "fr": "{name} peut-il vous écrire par courriel ?\n"
    "{name} a un message pour vous et vous demande d'abord si vous voulez recevoir ses courriels, sur vos visites et vos factures.\n"
    "Les courriels ne sont pas toujours chiffrés. Répondez OUI pour accepter, ou ouvrez cette page :",
}
_NAME_AT_MOST = 40  # so that it is one segment
_PICTURES = frozenset({"So", "Sk", "Cf", "Cs", "Co", "Cn", "Mn", "Me"})  # symbols, and what is joined to them


def answer(wish: Wish, *, name: str, email: str, language: str = "en", stands: bool = False) -> str:
    """The text that answers a wish; `stands`: say that the appointment stands."""
    asked = Wish.STOP if wish is Wish.WRONG_NUMBER else wish
    words = _NOT_CANCELLED[language] if stands and asked is Wish.STOP else _WORDS[language, asked]
    return _said(words, name, email)


def question(*, name: str, language: str = "en") -> str:
    """What somebody is asked before the first message to them (S-052)."""
    return _said(_ASK[language], name)


def _said(words: str, name: str, email: str = "") -> str:
    """As GSM-7 where its letters can be: a heart in a name would double what the text costs, and is left out."""
    letters = (each for each in unicodedata.normalize("NFC", name) if unicodedata.category(each) not in _PICTURES)
    bare = " ".join("".join(letters).split()) or name
    said = words.format(name=bare[:_NAME_AT_MOST].rstrip(), email=email)
    return sms.plainly(said) or words.format(name=name[:_NAME_AT_MOST].rstrip(), email=email)


def question_by_email(*, name: str, language: str = "en") -> str:
    """The same by email: subject and text, to which the address of the page is added."""
    return _ASK_BY_EMAIL[language].format(name=" ".join(name.split())[:_NAME_AT_MOST].rstrip())
