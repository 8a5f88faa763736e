"""Why a payment failed: in words for the person who pays (S-133 ... S-136), and what it means for the method (A-29, A-30)."""

from enum import StrEnum


class Kind(StrEnum):
    """What a failure means for charging the method automatically."""

    ISSUER = "issuer"  # the bank said no, this time
    HARD = "hard"  # the bank will always say no
    AUTHENTICATION = "authentication"  # the bank wants the cardholder, who is not there: nothing is wrong with the method
    HARMLESS = "harmless"  # a network, a provider, a mistake of ours: it says nothing about the method


WORDS = {
    "insufficient_funds": "The bank says that there is not enough money on this card.",
    "card_expired": "The card has expired.",
    "card_invalid": "The bank does not know a card with these details.",
    # Banks ask not to tell the holder more than this: the holder may be the thief.
    "card_lost_or_stolen": "The bank declined the card and will not accept it again.",
    "account_closed": "The bank says that this account is closed.",
    "payment_forbidden": "The account's holder has told the bank not to pay us.",
    "authentication_required": "The bank wants to see the cardholder before it pays.",
    "authentication_failed": "The bank could not confirm that it was the cardholder.",
    "bank_unavailable": "The bank could not be reached to decide. Nothing is wrong with the card.",
    "gateway_refused": "The payment service could not use this card.",
    "post_paid": "You pay at each month's end now, so no card is charged ahead.",
    "disputed": "The cardholder's bank has taken an earlier payment back.",
    "unproven": "We could not verify the balance against its entries, so nothing is charged. We look into it.",
    "guard": "Sending was stopped because of unusual traffic, and no card is charged until a person has looked at it.",
    "not_asked": "We were interrupted before we could ask the bank.",
}
OTHERWISE = "The bank declined the card without giving a reason."
KINDS = {
    "card_invalid": Kind.HARD,
    "card_lost_or_stolen": Kind.HARD,
    "account_closed": Kind.HARD,
    "payment_forbidden": Kind.HARD,
    "authentication_required": Kind.AUTHENTICATION,
    "bank_unavailable": Kind.HARMLESS,
    "gateway_refused": Kind.HARMLESS,
    "disputed": Kind.HARMLESS,
    "post_paid": Kind.HARMLESS,
    "unproven": Kind.HARMLESS,
    "guard": Kind.HARMLESS,
    "not_asked": Kind.HARMLESS,
}


def words_of(code: str) -> str:
    """A sentence for a payment's `failure_code`."""
    return WORDS.get(code, OTHERWISE)


def kind_of(code: str) -> Kind:
    """What a decline with this `failure_code` means. A reason that we do not know is the bank's (A-30)."""
    return KINDS.get(code, Kind.ISSUER)
