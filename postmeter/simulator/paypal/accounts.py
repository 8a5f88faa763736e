"""The people who have a PayPal account here. The address decides what happens, as a card's number does."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Account:
    """`issue` refuses every payment; `pending` ends days later as `ends`; `asks` wants its holder to confirm each payment."""

    email: str
    meaning: str
    issue: str = ""
    pending: bool = False
    ends: str = "COMPLETED"
    asks: bool = False


ACCOUNTS = {
    account.email: account
    for account in (
        Account("payer@example.com", "pays"),
        Account("empty@example.com", "has no money: INSTRUMENT_DECLINED", issue="INSTRUMENT_DECLINED"),
        Account("closed@example.com", "is closed: PAYER_ACCOUNT_LOCKED_OR_CLOSED", issue="PAYER_ACCOUNT_LOCKED_OR_CLOSED"),
        Account("revoked@example.com", "has taken the permission back", issue="AGREEMENT_ALREADY_CANCELLED"),
        Account("echeck@example.com", "pays from a bank: pending for days, then completed", pending=True),
        Account("bounces@example.com", "pays from a bank: pending for days, then denied", pending=True, ends="DECLINED"),
        Account("asks@example.com", "must confirm each payment; without its holder PAYER_ACTION_REQUIRED", asks=True),
    )
}
