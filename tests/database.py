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
    POSTMETER_SECRET_KEY="a key for tests",
    POSTMETER_PUBLIC_URL="http://127.0.0.1:18999",
    POSTMETER_TWILIO_ACCOUNT_SID="AC" + "0" * 32,
    POSTMETER_TWILIO_AUTH_TOKEN="a token for tests",
    POSTMETER_STRIPE_SECRET_KEY="sk_test_simulator",
    POSTMETER_STRIPE_WEBHOOK_SECRET="whsec_for_tests",
)
