"""Test cards and bank accounts as Stripe documents them, and one family of ours: cards that are refused only when charged."""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Card:
    """`decline` is (code, decline_code). A card with one is refused at set-up too, unless it `attaches`."""

    number: str
    meaning: str
    brand: str = "visa"
    decline: tuple[str, str] | None = None
    attaches: bool = False
    authentication: bool = False
    disputed: bool = False

    @property
    def last4(self) -> str:
        return self.number[-4:]


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Settles after days: `failure` is None or the code with which the debit comes back."""

    number: str
    meaning: str
    failure: str | None = None

    @property
    def last4(self) -> str:
        return self.number[-4:]


MESSAGES = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "lost_card": "Your card was declined.",
    "stolen_card": "Your card was declined.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
    "account_closed": "The bank account has been closed.",
    "insufficient_funds_bank": "The bank account has insufficient funds.",
}
ADVICE = {
    "insufficient_funds": "try_again_later",
    "processing_error": "try_again_later",
    "generic_decline": "try_again_later",
    "lost_card": "do_not_try_again",
    "stolen_card": "do_not_try_again",
    "expired_card": "do_not_try_again",
    "incorrect_cvc": "confirm_card_data",
    "authentication_required": "confirm_card_data",
}

_STRIPES_OWN = (
    Card("4242424242424242", "Succeeds"),
    Card("5555555555554444", "Succeeds", brand="mastercard"),
    Card("378282246310005", "Succeeds", brand="amex"),
    Card("4000000000000002", "Declined: generic_decline", decline=("card_declined", "generic_decline")),
    Card("4000000000009995", "Declined: insufficient_funds", decline=("card_declined", "insufficient_funds")),
    Card("4000000000009987", "Declined: lost_card", decline=("card_declined", "lost_card")),
    Card("4000000000009979", "Declined: stolen_card", decline=("card_declined", "stolen_card")),
    Card("4000000000000069", "Declined: expired_card", decline=("expired_card", "expired_card")),
    Card("4000000000000127", "Declined: incorrect_cvc", decline=("incorrect_cvc", "incorrect_cvc")),
    Card("4000000000000119", "Declined: processing_error", decline=("processing_error", "processing_error")),
    Card(
        "4000000000000341",
        "Can be saved, then declined: generic_decline",
        decline=("card_declined", "generic_decline"),
        attaches=True,
    ),
    Card("4000002500003155", "Needs authentication, also off session", authentication=True),
    Card("4000002760003184", "Needs authentication each time", authentication=True),
    Card("4000000000000259", "Succeeds, and is disputed later", disputed=True),
)
_SAVED_THEN_DECLINED = tuple(
    replace(
        card,
        number="40000341" + card.number[8:],
        attaches=True,
        meaning=f"Can be saved, then {card.meaning[0].lower()}{card.meaning[1:]}",
    )
    for card in _STRIPES_OWN
    if card.decline and not card.attaches
)
SOME_CARD = _STRIPES_OWN[0]
CARDS = {card.number: card for card in _STRIPES_OWN + _SAVED_THEN_DECLINED}
BANK_ACCOUNTS = {
    account.number: account
    for account in (
        BankAccount("000123456789", "Settles"),
        BankAccount("000111111116", "Comes back: account_closed", "account_closed"),
        BankAccount("000222222227", "Comes back: insufficient_funds", "insufficient_funds"),
    )
}
TOKENS = {
    "visa": "4242424242424242",
    "mastercard": "5555555555554444",
    "amex": "378282246310005",
    "chargeDeclined": "4000000000000002",
    "chargeDeclinedInsufficientFunds": "4000000000009995",
    "chargeCustomerFail": "4000000000000341",
    "authenticationRequired": "4000002760003184",
    "createDispute": "4000000000000259",
}


def card_of(number: str) -> Card | None:
    """The card with this number; unknown ones with a true check digit (Luhn) succeed."""
    known = CARDS.get(number)
    if known or not (number.isdigit() and 13 <= len(number) <= 19 and _luhn(number)):
        return known
    return Card(
        number, "Succeeds", brand={"4": "visa", "5": "mastercard", "3": "amex", "6": "discover"}.get(number[0], "unknown")
    )


def _luhn(number: str) -> bool:
    doubled = (sum(divmod(int(digit) * 2, 10)) for digit in number[-2::-2])
    return (sum(int(digit) for digit in number[-1::-2]) + sum(doubled)) % 10 == 0
