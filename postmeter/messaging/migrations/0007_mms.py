from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql"
OLD = """
DROP FUNCTION messaging_accept_each;
DROP FUNCTION messaging_accept;
"""


class Migration(migrations.Migration):
    """Who stopped texts gets no pictures. A new install has made the function so at once; an older one gets it here."""

    dependencies = [
        ("messaging", "0006_media"),
    ]

    operations = [
        migrations.RunSQL(OLD, migrations.RunSQL.noop),
        migrations.RunSQL((SQL / "accept.sql").read_text(), migrations.RunSQL.noop),
    ]
