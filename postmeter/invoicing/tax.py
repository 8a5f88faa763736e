"""Which tax a document bears: rules with dates, looked up by the seller's scheme, the buyer's country and kind, and a day.

| scheme | what it is |
|---|---|
| none | not registered: no tax, and no document says "tax invoice" |
| au_gst | Australian GST: 10 % in Australia, GST-free for recipients elsewhere |
| eu_vat | VAT of the EU: the buyer's member state's rate, reverse charge with a VAT id of another member state, nothing elsewhere |
| flat | whatever rules the operator has written for it |
"""

import re
from dataclasses import dataclass
from datetime import date

from stdnum.au import abn
from stdnum.eu import vat

from postmeter.invoicing.models import ExchangeRate, Seller, TaxRule
from postmeter.kit.money import from_minor, to_minor
from postmeter.kit.refusals import BadInput

PPM = 1_000_000
SCHEMES = {
    "none": "not registered for tax",
    "au_gst": "Australian GST",
    "eu_vat": "VAT in the EU",
    "flat": "rules of your own",
}
_STATES = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK"
MEMBER_STATES = frozenset(_STATES.split())
_VAT_PREFIX = {"GR": "EL"}  # Greece writes its VAT ids in its own letters


@dataclass(frozen=True, slots=True)
class Treatment:
    """A rule as it was applied to one document, which keeps a copy of it."""

    scheme: str
    name: str = ""
    rate_ppm: int = 0
    category: str = ""
    country: str = ""
    currency: str = ""
    words: str = ""
    exemption_code: str = ""


def treatment(seller: Seller, *, country: str, tax_id: str, on: date) -> Treatment:
    """The tax on a supply of this day to a buyer of that country with that tax id. No rule, no tax."""
    if seller.tax_scheme == "none":
        return Treatment("none")
    abroad = seller.tax_scheme == "eu_vat" and is_business_abroad(seller.country, country, tax_id)
    wanted = [("EU", "business_abroad")] * abroad + [(country, "any"), ("*", "any")]
    for zone, buyer in wanted:
        rules = TaxRule.objects.filter(scheme=seller.tax_scheme, country=zone, buyer=buyer, valid_from__lte=on)
        rule = rules.order_by("-valid_from").first()
        if rule:
            return Treatment(
                rule.scheme, rule.name, rule.rate_ppm, rule.category, rule.country, rule.currency, rule.words, rule.exemption_code
            )
    return Treatment("none")


def changes(scheme: str, *, country: str, after: date, before: date) -> list[date]:
    """The days between the two on which some rule of the scheme begins that may concern a buyer of that country."""
    rules = TaxRule.objects.filter(scheme=scheme, country__in=[country, "EU", "*"], valid_from__gt=after, valid_from__lt=before)
    return sorted(set(rules.values_list("valid_from", flat=True)))


def included_tax(total_micros: int, rate_ppm: int, currency: str) -> int:
    """The tax inside a total that includes it, to the currency's minor unit, half up: for 10 % it is 1/11 of the total."""
    minor = to_minor(total_micros, currency)
    return from_minor((2 * minor * rate_ppm + PPM + rate_ppm) // (2 * (PPM + rate_ppm)), currency)


def share(part: int, of: int, whole: int) -> int:
    """`of` · `part` / `whole`, half up. Shares of growing parts of a document add up to the whole, whatever the parts are."""
    return (2 * of * part + whole) // (2 * whole) if whole else 0


def converted(tax_micros: int, *, currency: str, into: str, on: date) -> int | None:
    """The tax in another currency by the latest rates of that day (Articles 91 and 230). None where no rate is known."""
    given, wanted = (_per_euro(each, on) for each in (currency, into))
    if given is None or wanted is None:
        return None
    return from_minor(to_minor(share(wanted, tax_micros, given), into), into)


def _per_euro(currency: str, on: date) -> int | None:
    if currency == "EUR":
        return 1_000_000
    rate = ExchangeRate.objects.filter(currency=currency, day__lte=on).order_by("-day").first()
    return rate.per_euro_micros if rate else None


# --- tax ids


def vat_id(text: str) -> str:
    """The VAT id of a member state in what somebody wrote ("VAT IE 6388047V"), if form and checksum are right; else "".

    Whether the id is in use only the states' own register knows (VIES); nobody is asked.
    """
    compact = re.sub(r"[^0-9A-Za-z]", "", text).upper().removeprefix("VAT")
    compact = _VAT_PREFIX.get(compact[:2], compact[:2]) + compact[2:]
    known = MEMBER_STATES - set(_VAT_PREFIX) | set(_VAT_PREFIX.values())
    return str(vat.compact(compact)) if compact[:2] in known and vat.is_valid(compact) else ""


def is_business_abroad(seller_country: str, country: str, tax_id: str) -> bool:
    """Is in another member state and has a VAT id of one: then the buyer accounts for the VAT (Article 196)."""
    found = vat_id(tax_id) if country in MEMBER_STATES - {seller_country} else ""
    return bool(found) and not found.startswith(_VAT_PREFIX.get(seller_country, seller_country))


def sellers_tax_id(scheme: str, country: str, text: str) -> str:
    """A seller's tax id as its documents print it. Refuses one that the scheme's invoices could not carry."""
    if scheme == "au_gst":
        if country != "AU" or not abn.is_valid(text.upper().removeprefix("ABN")):
            raise BadInput(
                "This is not an ABN: its checksum is wrong, or the seller is not in Australia.",
                field="tax_id",
                remedy="Write its eleven digits, such as 51 824 753 556.",
            )
        return f"ABN {abn.format(text.upper().removeprefix('ABN'))}"
    if scheme == "eu_vat":
        found = vat_id(text)
        if country not in MEMBER_STATES or not found.startswith(_VAT_PREFIX.get(country, country)):
            raise BadInput(
                "This is not a VAT id of the seller's member state.", field="tax_id", remedy="Write it as in IE 6388047V."
            )
        return f"VAT {found}"
    return " ".join(text.split())
