"""Amounts are integers in the currency's smallest unit; what that is and how little is too little."""

from postmeter.simulator.stripe.errors import invalid

ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
WHOLE_UNITS_ONLY = frozenset({"isk", "ugx"})  # two decimals in the API, always 00
LARGEST = 99_999_999
MINIMUM = {
    **dict.fromkeys(("usd", "eur", "aud", "cad", "chf", "nzd", "sgd", "brl", "inr", "jpy"), 50),
    "gbp": 30,
    "hkd": 400,
    "mxn": 1000,
    "dkk": 250,
    "sek": 300,
    "nok": 300,
    "pln": 200,
    "czk": 1500,
    "huf": 17500,
    "ron": 200,
    "aed": 200,
    "myr": 200,
    "thb": 1000,
}


def decimals(currency: str) -> int:
    return 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2


def shown(amount: int, currency: str) -> str:
    """`10.00 USD`, `500 JPY`."""
    places = decimals(currency)
    whole, part = divmod(amount, 10**places)
    return f"{whole:,}{f'.{part:0{places}}' if places else ''} {currency.upper()}"


def checked(amount: str | None, currency: str) -> int:
    """Raises StripeError where the amount is no integer, too small, too large or not in steps that the currency has."""
    if not (amount or "").isdigit():
        raise invalid("amount", f"Invalid integer: {amount}", "parameter_invalid_integer")
    minor = int(amount or 0)
    if minor < MINIMUM.get(currency, 1):
        raise invalid("amount", f"Amount must be at least {shown(MINIMUM.get(currency, 1), currency)}", "amount_too_small")
    if minor > LARGEST:
        raise invalid("amount", f"Amount must be no more than {shown(LARGEST, currency)}", "amount_too_large")
    if (currency in THREE_DECIMAL and minor % 10) or (currency in WHOLE_UNITS_ONLY and minor % 100):
        raise invalid(
            "amount", f"{currency.upper()} has no such amount: its last digit must be 0.", "parameter_invalid_integer_steps"
        )
    return minor
