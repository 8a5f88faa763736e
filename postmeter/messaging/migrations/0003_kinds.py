from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql"
OLD = """
DROP FUNCTION messaging_accept_each;
DROP FUNCTION messaging_accept;
"""


class Migration(migrations.Migration):
    """Accepting says what a message is for. A new install has made the function so at once; an older one gets it here."""

    dependencies = [
        ("messaging", "0002_threads"),
    ]

    operations = [
        migrations.RunSQL(OLD, migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "accept.sql").read_text(), migrations.RunSQL.noop),
    ]
