"""A throw-away PostgreSQL for the whole test run, started before Django reads its settings.

A plugin (`-p tests.database`) because Django's settings are imported before any conftest. Workers of xdist inherit it.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

if "POSTMETER_TEST_DATABASE_URL" not in os.environ:
    from postmeter.db.embedded import EmbeddedPostgres

    home = Path(tempfile.mkdtemp(prefix="postmeter-test-"))
    home.chmod(0o755)
    server = EmbeddedPostgres(home, durable=False)
    os.environ["POSTMETER_TEST_DATABASE_URL"] = server.start()

    @atexit.register
    def stop() -> None:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


os.environ["POSTMETER_HOME"] = tempfile.mkdtemp(prefix="postmeter-home-")
os.environ["POSTMETER_OWNER_DATABASE_URL"] = os.environ["POSTMETER_DATABASE_URL"] = os.environ["POSTMETER_TEST_DATABASE_URL"]
os.environ.pop("DATABASE_URL", None)
os.environ.update(
    POSTMETER_APP_PASSWORD="app-password",
    POSTMETER_WORKER_PASSWORD="worker-password",
    POSTMETER_OPERATOR_PASSWORD="operator-password",
    POSTMETER_SECRET_KEY="a key for tests",
    POSTMETER_ID_KEY="00112233445566778899aabbccddeeff",
    POSTMETER_BODY_KEYS="second:" + "ab" * 32 + ",first:" + "cd" * 32,
    POSTMETER_PUBLIC_URL="http://127.0.0.1:18999",
    POSTMETER_TWILIO_ACCOUNT_SID="AC" + "0" * 32,
    POSTMETER_TWILIO_AUTH_TOKEN="a token for tests",
    POSTMETER_STRIPE_SECRET_KEY="sk_test_simulator",
    POSTMETER_STRIPE_WEBHOOK_SECRET="whsec_for_tests",
    POSTMETER_PAYPAL_CLIENT_ID="client_for_tests",
    POSTMETER_PAYPAL_SECRET="paypal_for_tests",
    POSTMETER_PAYPAL_WEBHOOK_ID="SIMULATED",
    POSTMETER_PAYMENT_KINDS="card,bank_debit,paypal",
)


def new_database(owner: str, name: str) -> str:
    """An empty install in a database of that name; Django logs in to it as the worker does. Returns its owner's address."""
    import psycopg
    from django.conf import settings
    from django.db import connection

    from postmeter.cli.prepare import bring_up_to_date
    from postmeter.db.address import database
    from postmeter.db.roles import roles_of
    from postmeter.invoicing.models import Seller

    with psycopg.connect(owner, autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    connection.close()
    address = database(owner.rsplit("/", 1)[0] + f"/{name}")
    connection.settings_dict.update({key: address[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT")})
    settings.DATABASES["default"]["NAME"] = name
    bring_up_to_date(app_password="app-password", worker_password="worker-password", operator_password="operator-password")
    Seller.objects.create(
        id=1,
        name="Northlight Messaging Pty Ltd",
        address="12 Example Street\nSydney NSW 2000",
        country="AU",
        tax_id="ABN 51 824 753 556",
        tax_scheme="au_gst",
        email="billing@northlight.example",
    )
    connection.close()
    connection.settings_dict.update(USER=roles_of(name).worker, PASSWORD="worker-password")
    return owner.rsplit("/", 1)[0] + f"/{name}"
