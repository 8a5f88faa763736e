"""The demo: an operator, a clinic that buys credit, and the people who work there. Loaded once, into an empty database."""

import json
import secrets
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from postmeter.customers import operations as customers
from postmeter.customers.models import Role
from postmeter.db import calls, scope
from postmeter.invoicing.models import Seller
from postmeter.payments import wires
from postmeter.rating import operations as rating
from postmeter.wallets import operations as wallets

# Plausible prices in millionths of a US dollar per segment: what one pays, and what the carriers take on top.
RATES = [
    ("1", "US", 7_900, 3_500),
    ("1876", "JM", 92_000, 0),
    ("1809", "DO", 68_000, 0),
    ("27", "ZA", 28_500, 0),
    ("31", "NL", 94_000, 0),
    ("33", "FR", 79_800, 0),
    ("34", "ES", 83_200, 0),
    ("353", "IE", 81_100, 0),
    ("39", "IT", 92_700, 0),
    ("44", "GB", 46_300, 0),
    ("49", "DE", 111_900, 0),
    ("52", "MX", 61_300, 0),
    ("55", "BR", 53_400, 0),
    ("61", "AU", 51_500, 0),
    ("64", "NZ", 105_000, 0),
    ("65", "SG", 43_500, 0),
    ("81", "JP", 74_500, 0),
    ("91", "IN", 8_300, 0),
    ("972", "IL", 72_000, 0),
]
PEOPLE = [
    ("master@demo.example", "Morgan Reyes", [Role.MASTER]),
    ("billing@demo.example", "Billie Okafor", [Role.BILLING_ADMIN]),
    ("office@demo.example", "Robin Castellanos-Featherstonehaugh", [Role.OFFICE_MANAGER]),
    ("sender@demo.example", "Sam Lindqvist", [Role.SENDER]),
]


MANAGER = "manager@demo.example"


def load_once() -> bool:
    """Make the demo unless there is a customer already. Logins go to `demo.json` in POSTMETER_HOME."""
    with scope.every_customer():
        if calls.rows("SELECT 1 FROM customers_customer LIMIT 1"):
            return False
    load()
    return True


def load() -> int:
    """Make the operator, its prices, and one customer with members. Returns the customer's id."""
    now = timezone.now()
    Seller.objects.get_or_create(
        id=1,
        defaults={
            "name": "Northlight Messaging Pty Ltd",
            "address": "12 Example Street\nSydney NSW 2000\nAustralia",
            "country": "AU",
            "tax_id": "ABN 51 824 753 556",
            "tax_scheme": "au_gst",
            "email": "billing@northlight.example",
        },
    )
    wires.set_account(
        account="000123456789",
        currency="USD",
        holder="Northlight Messaging Pty Ltd",
        bank="Example Harbour Bank",
        bic="EXHBUS6S",
        note="Routing number 000000000. This is a demo: do not transfer anything.",
    )
    with scope.every_customer():
        price_list = rating.create_price_list(
            name="Standard", plan="standard", currency="USD", payable=rating.USUAL_PAYABLE, now=now, actor="operator"
        )
        rating.set_rates(price_list=price_list, new=_rates(), valid_from=now - timedelta(days=1), now=now, actor="operator")
    customer = customers.create_customer(
        name="Harbour Physio",
        email="accounts@harbourphysio.example",
        country="US",
        currency="USD",
        time_zone="America/New_York",
        sender="+15550100000",
        now=now,
        address="7 Quay Road\nPortland, ME 04101",
        quiet_hours=False,  # a demo is looked at by night too
    )
    password = secrets.token_urlsafe(12)
    with scope.customer(customer.id):
        wallets.open_first(customer_id=customer.id, unit="USD", now=now)
        for email, name, roles in PEOPLE:
            customers.add_member(
                customer_id=customer.id, email=email, name=name, roles=roles, now=now, actor="operator", password=password
            )
    manager = customers.appoint(email=MANAGER, name="Avery Nakamura")
    manager.set_password(password)
    manager.save()
    _write_logins(password)
    return customer.id


def _rates() -> list[rating.NewRate]:
    out = [rating.NewRate("sms", "out", prefix, country, price, fee) for prefix, country, price, fee in RATES]
    email = [rating.NewRate("email", "out", "0", "001", 0, 0)]
    pictures = [rating.NewRate("mms", "out", "1", "US", 20_000, 8_000)]
    calls = [rating.NewRate("voice", "out", "1", "US", 30_000, 0)]
    faxes = [rating.NewRate("fax", "out", "1", "US", 70_000, 0)]
    inbound = [rating.NewRate("sms", "in", "1", "US", 7_500, 0), rating.NewRate("fax", "in", "1", "US", 30_000, 0)]
    return out + pictures + calls + faxes + email + inbound


def _write_logins(password: str) -> None:
    home = Path(settings.HOME)
    home.mkdir(parents=True, exist_ok=True)
    path = home / "demo.json"
    people = [(email, Role(roles[0]).label) for email, _, roles in PEOPLE] + [(MANAGER, "Account manager")]
    path.write_text(json.dumps([{"email": email, "password": password, "role": role} for email, role in people], indent=2))
    path.chmod(0o600)
