"""Why a payment failed, in words for the person who pays (S-133 ... S-136)."""

WORDS = {
    "insufficient_funds": "The bank says that there is not enough money on this card.",
    "card_expired": "The card has expired.",
    "card_invalid": "The bank does not know a card with these details.",
    # Banks ask not to tell the holder more than this: the holder may be the thief.
    "card_lost_or_stolen": "The bank declined the card and will not accept it again.",
    "authentication_required": "The bank wants to see the cardholder before it pays.",
    "authentication_failed": "The bank could not confirm that it was the cardholder.",
    "gateway_refused": "The payment service could not use this card.",
    "not_asked": "We were interrupted before we could ask the bank.",
}
OTHERWISE = "The bank declined the card without giving a reason."


def words_of(code: str) -> str:
    """A sentence for a payment's `failure_code`."""
    return WORDS.get(code, OTHERWISE)
