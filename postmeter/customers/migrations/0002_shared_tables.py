from django.db import migrations

from postmeter.db.tables import WRITE, shared

# Tables of the libraries that we use: people's sessions, passwords and second factors, and jobs. No business data.
TABLES = [
    "account_emailaddress",
    "account_emailconfirmation",
    "django_content_type",
    "django_session",
    "mfa_authenticator",
    "procrastinate_events",
    "procrastinate_jobs",
    "procrastinate_periodic_defers",
    "procrastinate_workers",
]
# Rate limits must hold across processes, so the cache is a table; as `createcachetable` makes it.
CACHE = """
CREATE TABLE django_cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX django_cache_expires ON django_cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0001_initial"),
        ("account", "__latest__"),
        ("contenttypes", "__latest__"),
        ("mfa", "__latest__"),
        ("procrastinate", "__latest__"),
        ("sessions", "__latest__"),
    ]
    operations = [
        migrations.RunSQL(CACHE, "DROP TABLE django_cache"),
        shared("django_cache", may=WRITE),
        *(shared(table, may=WRITE) for table in TABLES),
        shared("ALL SEQUENCES IN SCHEMA public", may="USAGE"),
    ]
